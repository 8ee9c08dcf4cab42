"""How long a call may take before its actor is ended, and an actor until it is ready: all in one place.

A call that never returns (a decoder that hangs, a store that never answers) can only be ended from outside, by killing
the process that it runs in. So every call has a deadline, many times what it should take on a busy core, and sized by
what it works on: a short one would kill slow work again and again, a long one costs an actor for that time. Knows no
Ray and measures nothing itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from workers.job import SegmentTask
from workers.results import Call
from workers.video_state import VideoState

Clock = Callable[[], float]
"""Seconds that only ever grow."""

_MOST_SECONDS_A_LOOK = 5.0
_SLOWEST = 30.0
_DEBLUR_SECONDS, _DEBLUR_SECONDS_A_GMAC = 0.55, 0.2


@dataclass(frozen=True)
class Deadlines:
    """Seconds, generous: at least ten times what a call takes on one core of a busy machine (docs/measurements.md).

    start_seconds: from asking for an actor until it is ready: a place on the cluster, libraries, models.
    call_seconds: every call, and on top of it
    mebibyte_seconds: for each MiB of the source, in calls that read all of it (plan, publish);
    classify_seconds, assemble_seconds, publish_seconds: for each frame of a megapixel (smaller frames count as one);
    decode_seconds: the same, for frames that are decoded only to reach others.
    Deblur takes what its network's multiply-adds cost.
    """

    start_seconds: float = 900.0
    call_seconds: float = 600.0
    mebibyte_seconds: float = 4.0
    classify_seconds: float = 0.5
    assemble_seconds: float = 10.0
    publish_seconds: float = 0.5
    decode_seconds: float = 0.25
    factor: float = 1.0

    def times(self, factor: float) -> "Deadlines":
        """Longer or shorter ones throughout: the setting `deadline_factor`."""
        return replace(self, factor=self.factor * factor)

    @property
    def start(self) -> float:
        """Seconds until an actor must be ready."""
        return self.start_seconds * self.factor

    def of(self, call: Call, state: VideoState, gmac_256: float = 0.0) -> float:
        """Seconds that a call may take once its actor has begun it.

        gmac_256: billions of multiply-adds of the restorer for 256 × 256 pixels and each moment that it gives.
        """
        megapixels = max(state.frame_pixels / 1e6, 1.0)
        mebibytes = state.task.size_bytes / (1 << 20)
        seconds = self.call_seconds
        if call.stage in ("plan", "publish"):
            seconds += self.mebibyte_seconds * mebibytes
        if call.stage == "classify":
            seconds += self.classify_seconds * megapixels * call.frames
        elif call.stage == "assemble":
            seconds += self.assemble_seconds * megapixels * call.frames
        elif call.stage == "publish":
            # All of it is encoded again where the joined file fails its check.
            frame_seconds = self.publish_seconds + self.assemble_seconds
            seconds += frame_seconds * megapixels * sum(segment.frame_count for segment in state.segments)
        elif call.stage == "deblur":
            frame_seconds = _SLOWEST * (_DEBLUR_SECONDS + _DEBLUR_SECONDS_A_GMAC * gmac_256)
            seconds += frame_seconds * megapixels * call.frames
            # Frames before the span, from where its segment begins, and its neighbours'.
            seconds += self.decode_seconds * megapixels * _around(call, state)
        return seconds * self.factor


NORMAL = Deadlines()


def _around(call: Call, state: VideoState) -> int:
    number = call.task.number if isinstance(call.task, SegmentTask) else 0
    return sum(segment.frame_count for segment in state.segments[max(number - 1, 0) : number + 2])


class PatientClock:
    """A clock for deadlines, looked at again and again by one loop: between two looks at most 5 s go by.

    So a driver that was itself stopped (a suspended machine, a debugger, a long wait for memory) does not blame the
    calls for the time in which it could not hear their answers.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last, self._seconds = clock(), 0.0

    def __call__(self) -> float:
        now = self._clock()
        self._seconds += min(max(now - self._last, 0.0), _MOST_SECONDS_A_LOOK)
        self._last = now
        return self._seconds
