"""Gives a result the streams of its source beside the video, or says why its container cannot hold them.

It knows nothing of the video itself but when its frames are shown.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.containers import is_mp4_family, muxer_for
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.lossless_sound import SoundEncoder, held_as
from deblur_core.video.source import Source, main_video_stream, open_input
from deblur_core.video.streams import add_copy, carried_streams


def add_other(target: OutputContainer, template: Stream, name: str) -> Stream | SoundEncoder:
    """Adds a stream like `template` to `target`, as it is or, for sound that has no place there as it is, without loss.

    Raises DeclinedVideoError if the container cannot hold it.
    """
    if isinstance(template, AudioStream) and template.codec_context is not None:
        codec = template.codec_context.codec.canonical_name
        if held_as(codec, target.format.name) is not None:
            return SoundEncoder(target, template, name)
    return add_copy(target, template, name)


def start(target: OutputContainer, others: Sequence[Stream], name: str) -> None:
    """Writes the header. others: the streams beside the video. Raises DeclinedVideoError if the muxer refuses them."""
    try:
        target.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        kinds = ", ".join(f"{stream.type} {stream.index}" for stream in others) or "video"
        raise DeclinedVideoError(
            f"{name}: a {target.format.name} file cannot hold its streams ({kinds}): {error}; convert or remove "
            "what does not belong there first"
        ) from error


def require_held_times(times: FrameTimes, muxer: str, name: str) -> None:
    """Raises DeclinedVideoError if FFmpeg's `muxer` cannot show frames at these times."""
    if is_mp4_family(muxer) and times.pts[0] < 0:
        raise DeclinedVideoError(
            f"{name}: its first frame is shown before time 0, which a {muxer} file can only hide; shift its times first"
        )


def refusal(source: Source, source_name: str, times: FrameTimes, name: str) -> str | None:
    """Why a result called `name` cannot hold what its source comes with, as far as headers tell; None where it can.

    Writes a header without the video into memory.
    """
    muxer = muxer_for(name)
    try:
        require_held_times(times, muxer, source_name)
        with open_input(source, source_name) as original, av.open(io.BytesIO(), "w", format=muxer) as target:
            others = carried_streams(original, main_video_stream(original, source_name), muxer)
            for stream in others:
                add_other(target, stream, source_name)
            if any(stream.type != "attachment" for stream in others):
                start(target, others, source_name)
    except DeclinedVideoError as reason:
        return str(reason)
    return None
