"""Restores the blurred frames of a stretch of decoded video, one at a time, looking only as far as a restorer asks.

Frames stream through a short window, so memory does not grow with the stretch. Knows neither files nor storage.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer, choose_context, window_of
from deblur_core.moment_order import MomentEdges, edge_picture
from deblur_core.shots import is_cut, thumbnail
from deblur_core.verdict import Verdict, VerdictLimits, judge, sharpness
from deblur_core.video.colour import from_rgb, luma, to_rgb

_WINDOW_BYTES = 320 << 20

Moments = Callable[[FrameWindow], np.ndarray]
"""The moments of the window's target: RGB [M, H, W, 3] of its dtype, M odd, in order of time or its reverse"""


@dataclass(frozen=True)
class RestoredFrame:
    """What became of a blurred frame. frames: what it is replaced by, one or its moments; empty where the original is
    the better one (verdict not accepted). edges: of more than one moment, to tell which way round they run."""

    number: int
    frames: tuple[VideoFrame, ...]
    verdict: Verdict
    edges: MomentEdges | None = None


def reach_for(needs: ContextNeeds, width: int, height: int, bit_depth: int) -> ContextNeeds:
    """The same needs with the reach shortened where frames are so large that the window would not fit in memory."""
    frame_bytes = width * height * 3 * (2 if bit_depth > 8 else 1)
    most = max(_WINDOW_BYTES // frame_bytes // 2, 2)
    return ContextNeeds(
        needs.frames_before, needs.frames_after, needs.sharp_references, min(needs.reach_frames, int(most))
    )


def needs_of_moments(needs: ContextNeeds) -> ContextNeeds:
    """The same needs, with the next frame on both sides: it shows which way round the moments run."""
    return replace(needs, frames_before=max(needs.frames_before, 1), frames_after=max(needs.frames_after, 1))


def full_scale_luma(frame: VideoFrame) -> np.ndarray:
    """The luma plane [H, W]: uint8, or uint16 with the source's bits moved up to fill 16."""
    plane = luma(frame)
    bits = frame.format.components[0].bits
    return plane if plane.dtype == np.uint8 else np.left_shift(plane, 16 - bits, dtype=np.uint16)


def restore_stream(
    frames: Iterable[tuple[int, VideoFrame]],
    blurred: np.ndarray,
    first_labelled: int,
    targets: Iterable[int],
    restorer: Restorer,
    needs: ContextNeeds,
    limits: VerdictLimits,
    moments: Moments | None = None,
) -> Iterator[RestoredFrame]:
    """Restores `targets` (rising frame numbers) of a stretch of consecutive decoded frames.

    frames: (number, frame) in presentation order, from the first target's margin to the last one's; blurred: bool
    [N], labels of the frames `first_labelled` …. A target waits until all that it may look at has been decoded.
    moments: what to use instead of `restorer.restore_frame` for slow motion; needs are then `needs_of_moments`, and the
    verdict on the middle moment is the verdict on all.
    """
    window = _Window(needs)
    restore = moments or (lambda shown: restorer.restore_frame(shown)[None])
    waiting = list(targets)
    for number, frame in frames:
        window.add(number, frame)
        while waiting and waiting[0] + needs.margin_frames <= number:
            yield window.restore(waiting.pop(0), blurred, first_labelled, restore, limits)
    for target in waiting:
        yield window.restore(target, blurred, first_labelled, restore, limits)


class _Window:
    """The last decoded frames, as decoded; RGB is made once for those that are looked at."""

    def __init__(self, needs: ContextNeeds) -> None:
        self._needs = needs
        self._frames: OrderedDict[int, VideoFrame] = OrderedDict()
        self._rgb: dict[int, np.ndarray] = {}
        self._sharpness: dict[int, float] = {}
        self._cuts: list[int] = []  # first frames of shots
        self._last_thumbnail: np.ndarray | None = None

    def add(self, number: int, frame: VideoFrame) -> None:
        small = thumbnail(full_scale_luma(frame))
        if self._last_thumbnail is not None and is_cut(self._last_thumbnail, small):
            self._cuts.append(number)
        self._last_thumbnail = small
        self._frames[number] = frame
        while next(iter(self._frames)) < number - 2 * self._needs.margin_frames:
            oldest, _ = self._frames.popitem(last=False)
            self._rgb.pop(oldest, None)
            self._sharpness.pop(oldest, None)

    def restore(
        self, target: int, blurred: np.ndarray, first_labelled: int, restore: Moments, limits: VerdictLimits
    ) -> RestoredFrame:
        held = list(self._frames)
        start = max([cut for cut in self._cuts if cut <= target], default=held[0])
        stop = min([cut for cut in self._cuts if cut > target], default=held[-1] + 1)
        shot = (max(start, held[0]), min(stop, held[-1] + 1))
        plan = choose_context(target, blurred, self._needs, first_labelled, shot, self._sharpness_of)
        restored = restore(window_of(plan, self._as_rgb))
        original = self._frames[target]
        before = self._as_rgb(target)
        frames = tuple(from_rgb(picture, like=original, before=before) for picture in restored)
        verdict = judge(full_scale_luma(frames[len(frames) // 2]), full_scale_luma(original), limits)
        if not verdict.accepted:
            return RestoredFrame(target, (), verdict)
        return RestoredFrame(target, frames, verdict, self._edges(target, frames, shot) if len(frames) > 1 else None)

    def _edges(self, target: int, frames: tuple[VideoFrame, ...], shot: tuple[int, int]) -> MomentEdges:
        first, last = (edge_picture(full_scale_luma(frames[end])) for end in (0, -1))
        before, after = (
            edge_picture(full_scale_luma(self._frames[number])) if shot[0] <= number < shot[1] else None
            for number in (target - 1, target + 1)
        )
        return MomentEdges(first, last, before, after)

    def _sharpness_of(self, number: int) -> float:
        if number not in self._sharpness:
            self._sharpness[number] = sharpness(full_scale_luma(self._frames[number]))
        return self._sharpness[number]

    def _as_rgb(self, number: int) -> np.ndarray:
        if number not in self._rgb:
            self._rgb[number] = to_rgb(self._frames[number])
        return self._rgb[number]
