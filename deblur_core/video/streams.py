"""Carries everything of a file but its main video over to another container: streams, metadata, chapters, attachments.

Streams are described by copying their parameters, never by encoding; packets keep their bytes and times. It knows
nothing of the restored video.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.containers import is_mp4_family
from deblur_core.video.source import each_packet

# Written by the muxer itself, and wrong once the file is another.
_CONTAINER_KEYS_OF_THE_MUXER = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_STREAM_KEYS_OF_THE_MUXER = {"duration", "number_of_frames", "number_of_bytes", "bps", "vendor_id"}
_TIMECODE = "timecode"
_MATROSKA = {"matroska", "webm"}
# What FFmpeg's muxers of MP4 and MOV write in their older kind of metadata, which more players read.
_OLDER_TAGS = {
    "mp4": "title artist album_artist composer album date comment genre copyright grouping lyrics description synopsis "
    "show episode_id network keywords episode_sort season_number media_type hd_video gapless_playback compilation "
    "track disc location creation_time",
    "mov": "title artist album date comment genre copyright location make model creation_time",
}


def copy_container_metadata(source: InputContainer, target: OutputContainer) -> None:
    """Tags and chapters of the file as a whole."""
    for key, value in source.metadata.items():
        if key.lower() not in _CONTAINER_KEYS_OF_THE_MUXER:
            target.metadata[key] = value
    chapters = source.chapters()
    if chapters:
        target.set_chapters(chapters)


def needs_newer_metadata(source: InputContainer, muxer: str) -> bool:
    """Whether a tag of the file fits only the newer kind of metadata of MP4 and MOV, which holds any key: those of
    Apple's and Android's cameras, and whatever people made up."""
    older = _OLDER_TAGS.get(muxer)
    if older is None:
        return any("." in key for key in source.metadata)
    keys = {key.lower().split("-")[0] for key in source.metadata}
    return bool(keys - _CONTAINER_KEYS_OF_THE_MUXER - {_TIMECODE} - set(older.split()))


def copy_stream_metadata(source: Stream, target: Any, encoded_again: bool = False) -> None:
    """Language, title, handler, disposition and number; statistics and, for a stream that was encoded again, the name
    of its old encoder are left out."""
    for key, value in source.metadata.items():
        plain = key.lower().split("-")[0]
        if plain in _STREAM_KEYS_OF_THE_MUXER or plain.startswith("_statistics"):
            continue
        if encoded_again and plain == "encoder":
            continue
        if key == "name" and is_mp4_family(target.container.format.name):
            key = "title"  # what is read under one name there is written under the other
        # FFmpeg's muxer of Matroska leaves a track's creation time out, but not one in a language.
        in_matroska = target.container.format.name in _MATROSKA and plain == "creation_time"
        target.metadata[f"{plain}-und" if in_matroska else key] = value
    target.disposition = int(source.disposition)
    if source.container.format.name == "mpegts":
        target.id = source.id


def carried_streams(source: InputContainer, main: Stream, muxer: str) -> list[Stream]:
    """The streams that are copied packet by packet, in the order of the source.

    Left out are those which the muxer writes anew from what it is told: the text track of the chapters and the time
    code track of a video that carries its time code as metadata (Matroska keeps that as a tag of the video).
    """
    timecodes = {stream.metadata.get(_TIMECODE) for stream in source.streams.video} - {None}
    kept = []
    for stream in source.streams:
        if stream.index == main.index or stream.discard == av.stream.Discard.all:
            continue
        is_timecode_track = stream.type == "data" and stream.metadata.get(_TIMECODE) in timecodes
        if is_timecode_track and (is_mp4_family(muxer) or muxer == "matroska"):
            continue
        kept.append(stream)
    return kept


def add_copy(target: OutputContainer, template: Stream, name: str) -> Stream:
    """Adds a stream like `template` to `target`. Raises DeclinedVideoError if the container cannot hold it."""
    described = f"{template.type} stream {template.index} ({_codec_name(template)})"
    context: Any = template.codec_context
    if isinstance(template, AudioStream) and (context is None or not context.sample_rate):
        raise DeclinedVideoError(f"{name}: nobody can tell what its {described} holds, if anything; remove it first")
    muxer = target.format.name
    if is_bare_data(template) and (is_mp4_family(muxer) or muxer in _MATROSKA) and muxer != "mov":
        instead = "rename the file to .mov, or remove the stream" if is_mp4_family(muxer) else "remove the stream"
        raise DeclinedVideoError(
            f"{name}: its {described} is of a kind that cannot be put into a {muxer} file; {instead} first"
        )
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
        for packet in each_packet(source, *wanted):
            if packet.size and not _fills_a_gap(packet):
                yield packet
    except av.FFmpegError as error:
        raise DamagedVideoError(f"{name}: its other streams cannot be read to their end ({error.strerror})") from error


def is_bare_data(stream: Stream) -> bool:
    """Whether FFmpeg knows nothing of a data stream but its bytes (timed metadata of cameras and phones)."""
    return bool(stream.type == "data" and not (getattr(stream, "name", None) or stream.metadata.get(_TIMECODE)))


def _fills_a_gap(packet: Packet) -> bool:
    return packet.size == 2 and _codec_name(packet.stream) == "mov_text" and bytes(packet) == b"\0\0"


def _codec_name(stream: Stream) -> str:
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    return str(getattr(stream, "name", None) or stream.metadata.get("handler_name") or "unknown")
