"""Gives a result the streams of its source beside the video, or says why its container cannot hold them.

It knows nothing of the video itself but when its frames are shown.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.adts import AAC, AacConfig, adts_header, why_headers_cannot_go
from deblur_core.video.containers import is_mp4_family, muxer_for
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.lossless_sound import SoundEncoder, held_as
from deblur_core.video.source import Source, main_video_stream, open_input
from deblur_core.video.streams import add_copy, carried_streams, read_packets


def add_other(target: OutputContainer, template: Stream, name: str) -> Stream | SoundEncoder:
    """Adds a stream like `template` to `target`, as it is or, for sound that has no place there as it is, without loss.

    Raises DeclinedVideoError if the container cannot hold it.
    """
    if isinstance(template, AudioStream) and template.codec_context is not None:
        codec = template.codec_context.codec.canonical_name
        if held_as(codec, target.format.name) is not None:
            return SoundEncoder(target, template, name)
    return add_copy(target, template, name)


def start(target: OutputContainer, name: str) -> None:
    """Writes the header. Raises DeclinedVideoError if the muxer refuses the streams that were added."""
    try:
        target.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        kinds = ", ".join(_described(stream) for stream in target.streams)
        raise DeclinedVideoError(
            f"{name}: a {target.format.name} file cannot hold its streams ({kinds}) together: {_said(error)}; convert "
            "or remove what does not belong there first"
        ) from error


def _described(stream: Stream) -> str:
    codec = stream.codec_context
    return stream.type if codec is None else f"{stream.type} {codec.codec.canonical_name}"


def _said(error: av.FFmpegError | ValueError) -> str:
    """Without the name of the file, which is a temporary one."""
    return str(error.strerror if isinstance(error, av.FFmpegError) else error)


def require_held_times(times: FrameTimes, muxer: str, name: str) -> None:
    """Raises DeclinedVideoError if FFmpeg's `muxer` cannot show frames at these times."""
    if is_mp4_family(muxer) and times.pts[0] < 0:
        raise DeclinedVideoError(
            f"{name}: its first frame is shown before time 0, which a {muxer} file can only hide; shift its times first"
        )


def refusal(source: Source, source_name: str, times: FrameTimes, name: str) -> str | None:
    """Why a result called `name` cannot hold what its source comes with; None where it can.

    Writes a header without the video into memory; reads the sound only where its own headers must be left out. Raises
    DamagedVideoError if that cannot be read.
    """
    muxer = muxer_for(name)
    try:
        require_held_times(times, muxer, source_name)
        with open_input(source, source_name) as original, av.open(io.BytesIO(), "w", format=muxer) as target:
            others = carried_streams(original, main_video_stream(original, source_name), muxer)
            for stream in others:
                add_other(target, stream, source_name)
            if any(stream.type != "attachment" for stream in others):
                start(target, source_name)
            _require_one_header(original, others, muxer, source_name)
    except DeclinedVideoError as reason:
        return str(reason)
    return None


def _require_one_header(original: InputContainer, others: Sequence[Stream], muxer: str, name: str) -> None:
    """Raises DeclinedVideoError if sound with headers in its packets cannot do with one for all of them, as every
    container wants it but transport streams."""
    framed: list[Stream] = [
        stream
        for stream in others
        if isinstance(stream, AudioStream) and stream.codec_context is not None and not stream.codec_context.extradata
        if muxer != "mpegts" and stream.codec_context.codec.canonical_name == AAC
    ]
    first: dict[int, AacConfig] = {}
    for packet in read_packets(original, framed, name):
        number, data = packet.stream_index, memoryview(packet)
        reason = why_headers_cannot_go(data, first.get(number))
        if reason is not None:
            seconds = float((packet.pts or 0) * packet.time_base)
            raise DeclinedVideoError(
                f"{name}: its audio stream {number} (aac) {reason} at {seconds:.3f} s, which a {muxer} file cannot "
                "hold; convert the sound first"
            )
        header = adts_header(data)
        if header is not None:
            first.setdefault(number, header.config)
