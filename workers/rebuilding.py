"""How a video with restored frames is put together: which frames are encoded, which stay, when each is shown.

Asked by publish, and where a published video is checked again; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from deblur_core.provenance.proof import Expected
from deblur_core.video.containers import muxer_for
from deblur_core.video.slow_motion import SlowedFrames, slowed
from workers.job import Job, SegmentTask, VideoTask
from workers.planned_video import PlannedVideo
from workers.stages.encoding import Encoding, encoded_frames, encoding_of


@dataclass(frozen=True, eq=False)
class Rebuilding:
    """restored: bool [N]; encoded: for each segment, which of its frames its part holds, bool [n]."""

    key: str
    restored: np.ndarray
    encoding: Encoding
    encoded: tuple[np.ndarray, ...]
    slow: SlowedFrames | None

    @property
    def stay(self) -> np.ndarray:
        """bool [N]: frames whose packets are those of the source."""
        return ~np.concatenate(self.encoded)

    @property
    def because(self) -> str | None:
        """Why none stays, in words that follow "because"."""
        if self.encoding.whole_because is None and not self.stay.any():
            return "each of its GOPs begins with a restored frame, hides frames or is longer than a segment"
        return self.encoding.whole_because


def rebuilding_of(job: Job, task: VideoTask, planned: PlannedVideo, restored: Iterable[int]) -> Rebuilding:
    """restored: frame numbers. Raises DeclinedVideoError when the video cannot be encoded as what it is."""
    key = job.output_key(task, rebuilt=True)
    marks = np.zeros(planned.index.frame_count, bool)
    marks[list(restored)] = True
    encoding = encoding_of(job, task, planned)
    segments = [SegmentTask(task, s.number, s.first_frame, s.stop_frame) for s in planned.segments]
    encoded = tuple(
        encoded_frames(planned, encoding, each, marks[each.first_frame : each.stop_frame]) for each in segments
    )
    moments = job.options.slow_motion
    slow = slowed(planned.index, marks, moments, muxer_for(key), task.video) if moments > 1 else None
    return Rebuilding(key, marks, encoding, encoded, slow)


def encoded_whole(how: Rebuilding, because: str) -> Rebuilding:
    """The same with every frame encoded."""
    encoding = replace(how.encoding, whole_because=because)
    return replace(how, encoding=encoding, encoded=tuple(np.ones_like(some) for some in how.encoded))


def expected(planned: PlannedVideo, how: Rebuilding) -> Expected:
    """What `how` must give."""
    stay = None if how.because else how.stay
    return Expected(how.key, planned.info, planned.index, how.restored, stay, how.slow)
