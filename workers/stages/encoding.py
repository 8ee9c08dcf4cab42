"""How a video is encoded and which of its frames are: asked by assemble and by publish, which must agree."""

from dataclasses import dataclass, replace

import numpy as np

from deblur_core.video.containers import muxer_for
from deblur_core.video.encode import EncoderChoice, EncodeSettings, choose_encoder
from deblur_core.video.independent_gops import to_encode
from deblur_core.video.untouched_gops import beside, hindrance
from workers.job import Job, SegmentTask, VideoTask, suffix_of
from workers.planned_video import PlannedVideo


@dataclass(frozen=True)
class Encoding:
    """whole_because: why every frame is encoded; None where GOPs without a restored frame stay as they are."""

    choice: EncoderChoice
    whole_because: str | None


def encoding_of(job: Job, video: VideoTask, planned: PlannedVideo) -> Encoding:
    """Raises DeclinedVideoError when the video cannot be encoded as what it is."""
    options = job.options
    key = job.output_key(video, rebuilt=True)
    choice = choose_encoder(planned.info, suffix_of(key), EncodeSettings(codec=options.codec, crf=options.crf))
    because: str | None
    if options.reencode:
        because = "that was asked for (--reencode)"
    elif options.slow_motion > 1:
        because = "slow motion adds frames"
    else:
        because = hindrance(planned.info, planned.index, choice, muxer_for(key))
    return Encoding(choice if because else replace(choice, beside=beside(planned.info)), because)


def encoded_frames(planned: PlannedVideo, encoding: Encoding, segment: SegmentTask, restored: np.ndarray) -> np.ndarray:
    """bool [n]: which frames of the segment its part holds. restored: bool [n]."""
    gop, is_cut = planned.index.gop, planned.index.is_cut
    if encoding.whole_because is not None or gop is None or is_cut is None:
        return np.ones(segment.frame_count, bool)
    return to_encode(gop, is_cut, segment.first_frame, restored, planned.index.refers_back)
