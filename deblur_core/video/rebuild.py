"""Puts a video together again: the packets of its encoded parts with their real times, and all its other streams.

Nothing is decoded or encoded here; parts are opened one after another. It does not know which frames were restored, and
does not judge its own work: that is the check after it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from deblur_core.errors import DeclinedVideoError, VerificationError
from deblur_core.video.bits import BitstreamError
from deblur_core.video.carried_packets import CarriedFrames, joined_packets
from deblur_core.video.containers import is_mp4_family, keeps_decoding_times, muxer_for, output_name
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.held_streams import add_other, require_held_times, start
from deblur_core.video.hevc_header import with_lasting_messages
from deblur_core.video.index import VideoIndex
from deblur_core.video.joining import joining_of
from deblur_core.video.lossless_sound import SoundEncoder
from deblur_core.video.muxer_options import muxer_options
from deblur_core.video.nal_units import has_start_codes
from deblur_core.video.parts import Part, open_part, part_packets
from deblur_core.video.picture_metadata import PictureMetadata, read_picture_metadata, with_metadata
from deblur_core.video.probe import VideoInfo
from deblur_core.video.provenance_tag import free_key
from deblur_core.video.slow_motion import SlowedFrames
from deblur_core.video.source import Source, main_video_stream, open_input
from deblur_core.video.streams import (
    carried_streams,
    copy_container_metadata,
    copy_stream_metadata,
    read_packets,
)
from deblur_core.video.transport_layout import TransportLayout, laid_out, read_layout
from deblur_core.video.transport_service import TransportService, read_service

__all__ = ["CarriedFrames", "CarriedStream", "Part", "RebuildReport", "output_name", "rebuild"]


@dataclass(frozen=True)
class CarriedStream:
    """One stream of the result."""

    index: int
    """in the source"""
    kind: str
    packets: int
    size_bytes: int


@dataclass(frozen=True)
class RebuildReport:
    """What the result holds."""

    muxer: str
    streams: tuple[CarriedStream, ...]
    frames: int
    parts: int
    size_bytes: int


def rebuild(
    source: Source,
    source_name: str,
    info: VideoInfo,
    index: VideoIndex,
    parts: Sequence[Part],
    out_path: str | os.PathLike[str],
    name: str,
    slow: SlowedFrames | None = None,
    carried: CarriedFrames | None = None,
    provenance: str = "",
) -> RebuildReport:
    """Writes `out_path`, a file of the kind that `name` (the result's name) says, from all parts of the video in order
    and every other stream of `source`.

    index: of the source. slow: the frames of the result, where they are not those of the source. carried: the frames
    whose packets are taken from the source; `parts` hold all others. provenance: what the file says of its own making,
    under a key that its source does not use.

    Raises DeclinedVideoError if the container cannot hold a stream, DamagedVideoError if the source cannot be read to
    its end, VerificationError if the parts are not those of this video.
    """
    muxer = muxer_for(name)
    metadata = read_picture_metadata(source, index, source_name) if info.dynamic_metadata else {}
    times, rate = (index, info.average_rate) if slow is None else (slow.times, slow.average_rate)
    if slow is not None:
        metadata = slow.of_each(metadata)
    require_held_times(times, muxer, source_name)
    is_transport = muxer == "mpegts"
    service = read_service(source) if is_transport else TransportService()
    layout = read_layout(source) if is_transport else TransportLayout()
    with open_input(source, source_name) as original:
        main = main_video_stream(original, source_name)
        options = muxer_options(original, times, muxer)
        options |= service.muxer_options() | layout.muxer_options() if is_transport else {}
        with (
            _told_as_declined(muxer, source_name, carried is not None),
            laid_out(out_path, layout) as file,
            av.open(file, "w", format=muxer, options=options, metadata_errors="surrogateescape") as target,
        ):
            copy_container_metadata(original, target)
            target.metadata.update(service.metadata() if is_transport else {})
            key = free_key(original.metadata, muxer)
            if provenance and key is not None:
                target.metadata[key] = provenance
            described = replace(info, average_rate=rate)
            joins = carried is not None
            video, others = _add_streams(original, main, target, described, times, parts[0], source_name, joins)
            if carried is None:
                pictures = _video_packets(parts, times, metadata, source_name)
            else:
                keeps_dts = keeps_decoding_times(muxer)
                pictures = joined_packets(parts, carried, info, index, metadata, keeps_dts, source_name)
            counts = _mux(original, target, video, others, pictures, source_name)
            streams = tuple(
                CarriedStream(each.index, each.type, *counts.get(each.index, (0, 0)))
                for each in original.streams
                if each.index == main.index or each.index in others
            )
    return RebuildReport(muxer, streams, times.frame_count, len(parts), Path(out_path).stat().st_size)


@contextmanager
def _told_as_declined(muxer: str, source_name: str, joins: bool) -> Iterator[None]:
    """Packets that make no sense to the muxer, where that is no fault of joining; what the system says of disks passes
    through."""
    try:
        yield
    except (av.ArgumentError, av.InvalidDataError) as error:
        if joins:
            raise VerificationError(f"{source_name}: its joined packets are refused ({error.strerror})") from error
        raise DeclinedVideoError(
            f"{source_name}: its packets cannot be written to a {muxer} file ({error.strerror}); remux it first"
        ) from error


def _add_streams(
    original: InputContainer,
    main: VideoStream,
    target: OutputContainer,
    info: VideoInfo,
    times: FrameTimes,
    first_part: Part,
    source_name: str,
    joins: bool,
) -> tuple[Any, dict[int, Stream | SoundEncoder]]:
    """The video stream of the result, and the others by their index in the source."""
    kept = carried_streams(original, main, target.format.name)
    video: Any = None
    others: dict[int, Stream | SoundEncoder] = {}
    for stream in sorted([main, *kept], key=lambda each: each.index):
        if stream.index == main.index:
            video = _add_video(target, main, info, times, first_part, joins)
        else:
            others[stream.index] = add_other(target, stream, source_name)
    try:
        start(target, source_name)
    except DeclinedVideoError as error:
        if joins:
            raise VerificationError(f"its joined header is refused: {error}") from error
        raise
    return video, others


def _add_video(
    target: OutputContainer, main: VideoStream, info: VideoInfo, times: FrameTimes, first_part: Part, joins: bool
) -> Any:
    """The result's video stream: parameters of the parts; of the source what lies outside the pictures.

    joins: packets of the source stay, so its parameters are needed too.
    """
    with open_part(first_part) as part:
        encoded = part.streams.video[0]
        same_codec = encoded.codec_context.codec.canonical_name == info.codec
        # The source's stream brings side data along (mastering display, stereo, …) that PyAV cannot set one by one.
        template = main if same_codec else encoded
        video: Any = target.add_stream_from_template(template, opaque=True)
        context, described = video.codec_context, encoded.codec_context
        context.extradata = described.extradata
        if joins and has_start_codes(info.extradata):
            context.extradata = info.extradata
        elif joins:
            try:
                context.extradata = joining_of(info.codec, info.extradata, described.extradata or b"").header
            except BitstreamError as error:
                raise VerificationError(f"its parts do not fit between its own packets: {error}") from error
        elif same_codec and info.codec == "hevc":
            context.extradata = with_lasting_messages(described.extradata or b"", info.extradata)
        context.pix_fmt = described.pix_fmt
    if same_codec and info.codec == "hevc" and is_mp4_family(target.format.name) and info.codec_tag in ("hvc1", "hev1"):
        context.codec_tag = info.codec_tag
    context.color_range, context.colorspace = described.color_range, info.colorspace
    context.color_primaries, context.color_trc = info.color_primaries, info.color_trc
    if info.sample_aspect_ratio:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.average_rate:
        context.framerate = info.average_rate
    if info.display_matrix is not None:
        video.set_display_matrix(info.display_matrix)
    video.time_base = times.time_base
    copy_stream_metadata(main, video, encoded_again=True)
    return video


def _mux(
    original: InputContainer,
    target: OutputContainer,
    video: Any,
    others: dict[int, Stream | SoundEncoder],
    pictures: Iterator[Packet],
    source_name: str,
) -> dict[int, tuple[int, int]]:
    """Writes all packets by time; returns packets and bytes of each stream by its index in the source."""
    counts: dict[int, tuple[int, int]] = {}
    main_index = main_video_stream(original, source_name).index
    packets = read_packets(original, [original.streams[number] for number in others], source_name)
    written = _written(packets, others)
    waiting = next(written, None)
    for packet in pictures:
        while waiting is not None and _seconds(waiting[1]) <= _seconds(packet):
            _write(target, *waiting, counts)
            waiting = next(written, None)
        _write(target, main_index, packet, video, counts)
    while waiting is not None:
        _write(target, *waiting, counts)
        waiting = next(written, None)
    return counts


def _written(
    packets: Iterator[Packet], others: dict[int, Stream | SoundEncoder]
) -> Iterator[tuple[int, Packet, Stream]]:
    """Index in the source, packet, and stream of the result."""
    for packet in packets:
        number = packet.stream_index
        other = others[number]
        if isinstance(other, SoundEncoder):
            for encoded in other.encode(packet):
                yield number, encoded, other.stream
        else:
            yield number, packet, other
    for number, other in others.items():
        if isinstance(other, SoundEncoder):
            for encoded in other.encode(None):
                yield number, encoded, other.stream


def _write(
    target: OutputContainer, number: int, packet: Packet, stream: Stream, counts: dict[int, tuple[int, int]]
) -> None:
    packets, size_bytes = counts.get(number, (0, 0))
    counts[number] = (packets + 1, size_bytes + packet.size)
    packet.stream = stream
    target.mux(packet)


def _seconds(packet: Packet) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return -math.inf if stamp is None else float(stamp * packet.time_base)


def _video_packets(
    parts: Sequence[Part], times: FrameTimes, metadata: dict[int, PictureMetadata], name: str
) -> Iterator[Packet]:
    """The packets of all parts with real times: pts of the frames; dts the sorted pts, moved back by as many frames as
    the encoder reorders, the smallest shift that keeps dts rising and at or before pts."""
    durations = times.durations()
    for each in part_packets(parts, times.frame_count, name):
        timed = _timed(each.packet, each.shown, each.decoded - each.reorder_depth, times, durations, name)
        yield with_metadata(timed, metadata[each.shown]) if each.shown in metadata else timed


def _timed(packet: Packet, frame: int, dts_frame: int, times: FrameTimes, durations: np.ndarray, name: str) -> Packet:
    packet.time_base = times.time_base
    packet.pts = int(times.pts[frame])
    # Before the first frame the times go on at its own pace.
    packet.dts = (
        int(times.pts[dts_frame]) if dts_frame >= 0 else int(times.pts[0]) + dts_frame * max(int(durations[0]), 1)
    )
    packet.duration = int(durations[frame])
    if packet.dts > packet.pts:
        raise VerificationError(f"{name}: frame {frame} is decoded after it is shown; its part is damaged")
    return packet
