"""What every restorer is: it says what it looks at beside a blurred frame, and restores one frame at a time.

Which frames stand around a blurred one is decided here for all restorers alike (`choose_context`); decoding and
storage are somebody else's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

from deblur_core.verdict import sharpness


@dataclass(frozen=True)
class ContextNeeds:
    """frames_before, frames_after: neighbours wanted however sharp they are; sharp_references: how many of the nearest
    sharp frames are wanted, at most `reach_frames` away. A restorer must cope with fewer: shots begin and end."""

    frames_before: int = 0
    frames_after: int = 0
    sharp_references: int = 0
    reach_frames: int = 12

    @property
    def margin_frames(self) -> int:
        """How far from a blurred frame this restorer may look, frames."""
        reach = self.reach_frames if self.sharp_references else 0
        return max(self.frames_before, self.frames_after, reach)


@dataclass(frozen=True)
class ContextPlan:
    """Frame numbers around one blurred frame: `neighbours` by offset, `references` before then after.

    stand_ins: where there is no reference, the sharpest of the blurred frames nearby, rising.
    """

    target: int
    neighbours: Mapping[int, int]
    references: tuple[int, ...]
    stand_ins: tuple[int, ...] = ()

    @property
    def wanted(self) -> frozenset[int]:
        """Every frame number needed, the target included."""
        return frozenset((self.target, *self.neighbours.values(), *self.references, *self.stand_ins))


def choose_context(
    target: int,
    blurred: np.ndarray,
    needs: ContextNeeds,
    first: int = 0,
    shot: tuple[int, int] | None = None,
    sharpness_of: Callable[[int], float] | None = None,
) -> ContextPlan:
    """Picks what a restorer sees of a blurred frame's surroundings, never beyond its shot.

    target: frame number; blurred: bool [N], labels of the frames `first` … `first + N - 1`; shot: first and stop
    frame of the shot (default: all that is labelled). References come from both sides where both have one, else two
    from one side; they are ordered before-then-after, as restorers are trained. Where there is none, the sharpest of
    the blurred frames within half the reach stand in, by sharpness_of, a measure of each frame by number (default:
    nothing stands in).
    """
    start, stop = shot or (first, first + len(blurred))
    start, stop = max(start, first), min(stop, first + len(blurred))
    offsets = [offset for offset in range(-needs.frames_before, needs.frames_after + 1) if offset]
    neighbours = {offset: target + offset for offset in offsets if start <= target + offset < stop}
    reach = range(1, needs.reach_frames + 1)
    earlier = [n for n in (target - d for d in reach) if n >= start and not blurred[n - first]]
    later = [n for n in (target + d for d in reach) if n < stop and not blurred[n - first]]
    half = needs.sharp_references // 2
    from_later = later[: max(half, needs.sharp_references - len(earlier))]
    from_earlier = earlier[: needs.sharp_references - len(from_later)]
    references = (*from_earlier, *from_later)
    if references or sharpness_of is None or not needs.sharp_references:
        return ContextPlan(target, neighbours, references)
    near = needs.reach_frames // 2
    around = [n for n in range(max(target - near, start), min(target + near + 1, stop)) if n != target]
    sharpest = sorted(around, key=lambda number: (-sharpness_of(number), number))[: needs.sharp_references]
    return ContextPlan(target, neighbours, references, tuple(sorted(sharpest)))


@dataclass(frozen=True)
class FrameWindow:
    """A blurred frame and what stands around it, RGB [H, W, 3], all uint8 or all uint16.

    neighbours: by offset from the target; references: the nearest sharp frames of the shot, before then after;
    stand_ins: where there is none, the sharpest of the blurred frames nearby, to be restored before they are of use.
    """

    target: np.ndarray
    neighbours: Mapping[int, np.ndarray] = field(default_factory=dict)
    references: Sequence[np.ndarray] = ()
    stand_ins: Sequence[np.ndarray] = ()


def window_of(plan: ContextPlan, picture: Callable[[int], np.ndarray]) -> FrameWindow:
    """The frames of a plan. picture: RGB of a frame by number; the same array each time, so that a restorer knows a
    frame again."""
    return FrameWindow(
        picture(plan.target),
        {offset: picture(number) for offset, number in plan.neighbours.items()},
        [picture(number) for number in plan.references],
        [picture(number) for number in plan.stand_ins],
    )


def picture_sharpness(picture: np.ndarray) -> float:
    """`sharpness` of the luma of an RGB picture [H, W, 3], uint8 or uint16."""
    return sharpness(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY))


def windows_in(frames: Sequence[np.ndarray], blurred: np.ndarray, needs: ContextNeeds) -> Callable[[int], FrameWindow]:
    """What a restorer sees around each frame of a shot that is all in memory, by index.

    frames: RGB [H, W, 3] each, those that `blurred`, bool [N], labels. Each is measured at most once.
    """
    sharpness_of = cache(lambda number: picture_sharpness(frames[number]))

    def window(target: int) -> FrameWindow:
        plan = choose_context(target, blurred, needs, sharpness_of=sharpness_of)
        return window_of(plan, frames.__getitem__)

    return window


def window_in(frames: Sequence[np.ndarray], target: int, blurred: np.ndarray, needs: ContextNeeds) -> FrameWindow:
    """`windows_in` for one frame."""
    return windows_in(frames, blurred, needs)(target)


class Restorer(ABC):
    """Restores blurred frames. Not safe to share between threads."""

    name: str
    needs: ContextNeeds
    weights_sha256: str

    @abstractmethod
    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        """The target restored: RGB [H, W, 3] of the target's dtype. Raises ValueError for mixed sizes or dtypes."""

    def restore(self, frames: np.ndarray, blurred: np.ndarray) -> np.ndarray:
        """Restores the marked frames of one shot; the others come back untouched.

        frames: uint8 (or uint16) RGB [T, H, W, 3] in presentation order; blurred: bool [T].
        Returns an array of the same shape and dtype. Raises ValueError when the two do not match, or for other types.
        """
        frames, blurred = np.asarray(frames), np.asarray(blurred)
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"restore: frames must be uint8 or uint16 [T, H, W, 3], not {frames.dtype} {frames.shape}")
        if not frames.size and len(frames):
            raise ValueError(f"restore: frames of {frames.shape[2]} × {frames.shape[1]} pixels hold no picture")
        if blurred.dtype != np.bool_ and not np.isin(blurred, (0, 1)).all():
            # Of probabilities all but 0 would count as blurred, of texts all.
            raise ValueError(
                f"restore: labels must be bool, not {blurred.dtype}: compare probabilities with a threshold"
            )
        blurred = blurred.astype(bool)
        if blurred.shape != (len(frames),):
            raise ValueError(f"restore: {len(frames)} frames but labels of shape {blurred.shape}")
        out = frames.copy()
        window = windows_in(list(frames), blurred, self.needs)
        for target in np.flatnonzero(blurred):
            out[target] = self.restore_frame(window(int(target)))
        return out
