"""Restores the blurred frames of a stretch of decoded video, one at a time, looking only as far as a restorer asks.

Frames stream through a short window, so memory does not grow with the stretch. Knows neither files nor storage.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer, choose_context
from deblur_core.shots import is_cut, thumbnail
from deblur_core.verdict import Verdict, VerdictLimits, judge
from deblur_core.video.colour import from_rgb, luma, to_rgb

_WINDOW_BYTES = 320 << 20


@dataclass(frozen=True)
class RestoredFrame:
    """What became of a blurred frame. `frame` is None where the original is the better one (verdict not accepted)."""

    number: int
    frame: VideoFrame | None
    verdict: Verdict


def reach_for(needs: ContextNeeds, width: int, height: int, bit_depth: int) -> ContextNeeds:
    """The same needs with the reach shortened where frames are so large that the window would not fit in memory."""
    frame_bytes = width * height * 3 * (2 if bit_depth > 8 else 1)
    most = max(_WINDOW_BYTES // frame_bytes // 2, 2)
    return ContextNeeds(
        needs.frames_before, needs.frames_after, needs.sharp_references, min(needs.reach_frames, int(most))
    )


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
) -> Iterator[RestoredFrame]:
    """Restores `targets` (rising frame numbers) of a stretch of consecutive decoded frames.

    frames: (number, frame) in presentation order, from the first target's margin to the last one's; blurred: bool
    [N], labels of the frames `first_labelled` …. A target waits until all that it may look at has been decoded.
    """
    window = _Window(needs)
    waiting = list(targets)
    for number, frame in frames:
        window.add(number, frame)
        while waiting and waiting[0] + needs.margin_frames <= number:
            yield window.restore(waiting.pop(0), blurred, first_labelled, restorer, limits)
    for target in waiting:
        yield window.restore(target, blurred, first_labelled, restorer, limits)


class _Window:
    """The last decoded frames, as decoded; RGB is made once for those that are looked at."""

    def __init__(self, needs: ContextNeeds) -> None:
        self._needs = needs
        self._frames: OrderedDict[int, VideoFrame] = OrderedDict()
        self._rgb: dict[int, np.ndarray] = {}
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

    def restore(
        self, target: int, blurred: np.ndarray, first_labelled: int, restorer: Restorer, limits: VerdictLimits
    ) -> RestoredFrame:
        held = list(self._frames)
        start = max([cut for cut in self._cuts if cut <= target], default=held[0])
        stop = min([cut for cut in self._cuts if cut > target], default=held[-1] + 1)
        shot = (max(start, held[0]), min(stop, held[-1] + 1))
        plan = choose_context(target, blurred, self._needs, first_labelled, shot)
        restored = restorer.restore_frame(
            FrameWindow(
                self._as_rgb(target),
                {offset: self._as_rgb(number) for offset, number in plan.neighbours.items()},
                [self._as_rgb(number) for number in plan.references],
            )
        )
        original = self._frames[target]
        frame = from_rgb(restored, like=original)
        verdict = judge(full_scale_luma(frame), full_scale_luma(original), limits)
        return RestoredFrame(target, frame if verdict.accepted else None, verdict)

    def _as_rgb(self, number: int) -> np.ndarray:
        if number not in self._rgb:
            self._rgb[number] = to_rgb(self._frames[number])
        return self._rgb[number]
