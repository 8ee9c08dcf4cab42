"""What FFmpeg's muxers are told, so that a result has the times and tags of its source.

It writes nothing.
"""

from __future__ import annotations

import math

from av.container import InputContainer

from deblur_core.video.containers import is_mp4_family
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.streams import needs_newer_metadata

_MOVIE_TIMESCALE = 90000
_LARGEST_TIMESCALE = 2**31 - 1


def muxer_options(original: InputContainer, times: FrameTimes, muxer: str) -> dict[str, str]:
    """For a result of FFmpeg's `muxer`, whose frames are shown at `times`."""
    if is_mp4_family(muxer):
        flags = "+faststart"
        if needs_newer_metadata(original, muxer):
            flags += "+use_metadata_tags"
        # Dolby Vision's configuration is "unofficial" to FFmpeg, which leaves it out otherwise.
        return {"strict": "unofficial", "movflags": flags, "movie_timescale": str(_movie_timescale(original, times))}
    if muxer == "mpegts":
        return {"mpegts_copyts": "1"}
    # The default would move all streams so that none starts before 0, which changes every time in the file.
    return {"avoid_negative_ts": "disabled"}


def _movie_timescale(original: InputContainer, times: FrameTimes) -> int:
    """Starts and ends of MP4 tracks are counted in the movie's own ticks; these fit the ticks of every stream."""
    scale = math.lcm(_MOVIE_TIMESCALE, times.time_base.denominator)
    for stream in original.streams:
        if stream.time_base is not None:
            wider = math.lcm(scale, stream.time_base.denominator)
            scale = wider if wider <= _LARGEST_TIMESCALE else scale
    return scale if scale <= _LARGEST_TIMESCALE else _MOVIE_TIMESCALE
