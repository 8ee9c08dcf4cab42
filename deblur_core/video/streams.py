"""Carries everything of a file but its main video over to another container: streams, metadata, chapters, attachments.

Streams are described by copying their parameters, never by encoding; packets keep their bytes and times. It knows
nothing of the restored video.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.containers import is_mp4_family

# Written by the muxer itself, and wrong once the file is another.
_CONTAINER_KEYS_OF_THE_MUXER = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_STREAM_KEYS_OF_THE_MUXER = {"duration", "number_of_frames", "number_of_bytes", "bps", "vendor_id"}
_TIMECODE = "timecode"


def copy_container_metadata(source: InputContainer, target: OutputContainer) -> None:
    """Tags and chapters of the file as a whole."""
    for key, value in source.metadata.items():
        if key.lower() not in _CONTAINER_KEYS_OF_THE_MUXER:
            target.metadata[key] = value
    chapters = source.chapters()
    if chapters:
        target.set_chapters(chapters)


def copy_stream_metadata(source: Stream, target: Any, encoded_again: bool = False) -> None:
    """Language, title, handler, disposition and number; statistics and, for a stream that was encoded again, the name
    of its old encoder are left out."""
    for key, value in source.metadata.items():
        plain = key.lower().split("-")[0]
        if plain in _STREAM_KEYS_OF_THE_MUXER or plain.startswith("_statistics"):
            continue
        if encoded_again and plain == "encoder":
            continue
        target.metadata[key] = value
    target.disposition = int(source.disposition)
    if source.container.format.name == "mpegts":
        target.id = source.id


def carried_streams(source: InputContainer, main: Stream, muxer: str) -> list[Stream]:
    """The streams that are copied packet by packet, in the order of the source.

    Left out are those which the muxer writes anew from what it is told: the text track of the chapters and, in MP4 and
    MOV, the time code track of a video that carries its time code as metadata.
    """
    timecodes = {stream.metadata.get(_TIMECODE) for stream in source.streams.video} - {None}
    kept = []
    for stream in source.streams:
        if stream.index == main.index or stream.discard == av.stream.Discard.all:
            continue
        is_timecode_track = stream.type == "data" and stream.metadata.get(_TIMECODE) in timecodes
        if is_timecode_track and is_mp4_family(muxer):
            continue
        kept.append(stream)
    return kept


def add_copy(target: OutputContainer, template: Stream, name: str) -> Stream:
    """Adds a stream like `template` to `target`. Raises DeclinedVideoError if the container cannot hold it."""
    described = f"{template.type} stream {template.index} ({_codec_name(template)})"
    try:
        if template.type == "attachment":
            copied: Any = target.add_stream_from_template(template)
        else:
            copied = target.add_stream_from_template(template, opaque=True)
    except (ValueError, av.FFmpegError) as error:
        raise DeclinedVideoError(
            f"{name}: its {described} cannot be put into a {target.format.name} file ({error}); convert or remove "
            "it first"
        ) from error
    if template.time_base is not None:
        copied.time_base = template.time_base
    copy_stream_metadata(template, copied)
    return copied


def read_packets(source: InputContainer, streams: list[Stream], name: str) -> Iterator[Packet]:
    """The packets of `streams` as the demuxer gives them, but for the empty ones that fill the gaps between MP4
    subtitles: every muxer of MP4 makes its own. Raises DamagedVideoError."""
    wanted = [stream for stream in streams if stream.type != "attachment"]
    if not wanted:
        return
    indices = {stream.index for stream in wanted}
    for stream in source.streams:
        if stream.index not in indices:
            stream.discard = av.stream.Discard.all
    try:
        for packet in source.demux(wanted):
            if packet.size and not _fills_a_gap(packet):
                yield packet
    except av.FFmpegError as error:
        raise DamagedVideoError(f"{name}: its other streams cannot be read to their end ({error.strerror})") from error


def _fills_a_gap(packet: Packet) -> bool:
    return packet.size == 2 and _codec_name(packet.stream) == "mov_text" and bytes(packet) == b"\0\0"


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    return str(getattr(stream, "name", None) or stream.metadata.get("handler_name") or "unknown")
