"""Checks a rebuilt video against its source before anybody sees it: every frame's time, every other packet, every tag.

It reads both files and decodes the result to its end; it knows nothing of how the result was made, and does not judge
the pictures themselves.
"""

from __future__ import annotations

import os
import zlib
from array import array
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer

from deblur_core.errors import VerificationError, VideoError
from deblur_core.video.carried_check import compare_carried
from deblur_core.video.containers import is_mp4_family, muxer_for
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.pixel_format import plain_name
from deblur_core.video.probe import VideoInfo, probe
from deblur_core.video.source import Source, main_video_stream, open_input, time_base
from deblur_core.video.streams import carried_streams, read_packets

_EXACT_MUXERS = {"mpegts"}
_MATROSKA_TICK = Fraction(1, 1000)
_UNSPECIFIED = {0, 2}  # no tag at all, or the tag that says so


@dataclass
class _PacketTrace:
    """The packets of one stream, a few bytes each."""

    described: str
    tick: Fraction
    is_attachment: bool
    checksums: array[int] = field(default_factory=lambda: array("L"))
    times: array[int] = field(default_factory=lambda: array("q"))


def verify_rebuilt(
    source: Source,
    result_path: str | os.PathLike[str],
    info: VideoInfo,
    times: FrameTimes,
    name: str,
    stay: np.ndarray | None = None,
) -> None:
    """Compares the file `result_path`, to be published as `name`, with its source, which `info` describes, and with the
    frames that it must have: those of its source, or for slow motion those of `slowed`.

    stay: bool [N], the frames whose packets must be those of the source, byte for byte.
    Times must be equal exactly in MP4, MOV and transport streams, within one tick in Matroska. Raises VerificationError
    naming the first difference.
    """
    muxer = muxer_for(name)
    try:
        result = probe(os.fspath(result_path), name)
    except VideoError as error:
        raise VerificationError(f"{name}: the rebuilt file is not readable: {error}") from error
    _compare_description(info, result, muxer, name)
    _compare_frames(result_path, info, times, muxer, name)
    if stay is not None:
        compare_carried(source, result_path, times, stay, is_mp4_family(muxer), name)
    _compare_other_streams(source, result_path, muxer, name)


def _compare_description(info: VideoInfo, result: VideoInfo, muxer: str, name: str) -> None:
    pairs = {
        "size": ((info.width, info.height), (result.width, result.height)),
        "pixel format": (plain_name(info.pixel_format), plain_name(result.pixel_format)),
        "pixel aspect ratio": (info.sample_aspect_ratio or 1, result.sample_aspect_ratio or 1),
        "rotation": (info.rotation_degrees, result.rotation_degrees),
        "colour range": (_range(info), _range(result)),
        "colour matrix": (_tag(info.colorspace), _tag(result.colorspace)),
        "colour primaries": (_tag(info.color_primaries), _tag(result.color_primaries)),
        "transfer curve": (_tag(info.color_trc), _tag(result.color_trc)),
        "mastering display": (info.mastering_display, result.mastering_display),
        "dynamic metadata": (info.dynamic_metadata, result.dynamic_metadata),
        "content light level": (info.content_light, result.content_light),
    }
    for what, (before, after) in pairs.items():
        if before != after:
            raise VerificationError(f"{name}: {what} was {before} and would become {after}")


def _tag(value: int) -> int:
    """FFmpeg says "unspecified" in two ways, and containers turn one into the other. BT.470 BG and SMPTE 170M are one
    matrix under two numbers, of which JPEG has but the first."""
    if value in _UNSPECIFIED:
        return 2
    return value


def _range(info: VideoInfo) -> str:
    """Limited is what no tag means."""
    return "full" if info.color_range == 2 or info.pixel_format.startswith("yuvj") else "limited"


def _compare_frames(
    result_path: str | os.PathLike[str], info: VideoInfo, times: FrameTimes, muxer: str, name: str
) -> None:
    tolerance = Fraction(0) if is_mp4_family(muxer) or muxer in _EXACT_MUXERS else _MATROSKA_TICK
    count = 0
    with open_input(os.fspath(result_path), name) as container:
        stream = main_video_stream(container, name)
        try:
            for frame in container.decode(stream):
                if count == times.frame_count:
                    raise VerificationError(f"{name}: has more than the {count} frames that it must have")
                _compare_frame(frame, count, info, times, tolerance, name)
                count += 1
        except av.FFmpegError as error:
            raise VerificationError(
                f"{name}: frame {count} of the result does not decode ({error.strerror})"
            ) from error
        end = container.duration
    if count != times.frame_count:
        raise VerificationError(f"{name}: has {count} frames and must have {times.frame_count}")
    if end is not None and end / av.time_base < times.duration_seconds - float(_MATROSKA_TICK):
        raise VerificationError(
            f"{name}: lasts {end / av.time_base:.3f} s, the video of its source {times.duration_seconds:.3f} s"
        )


def _compare_frame(
    frame: av.VideoFrame, number: int, info: VideoInfo, times: FrameTimes, tolerance: Fraction, name: str
) -> None:
    if frame.pts is None or frame.time_base is None:
        raise VerificationError(f"{name}: frame {number} of the result has no time")
    before, after = int(times.pts[number]) * times.time_base, frame.pts * frame.time_base
    if abs(after - before) > tolerance:
        raise VerificationError(
            f"{name}: frame {number} was shown at {float(before):.6f} s and would be at {float(after):.6f} s"
        )
    if frame.is_corrupt:
        raise VerificationError(f"{name}: frame {number} of the result is damaged")
    if (frame.width, frame.height) != (info.width, info.height):
        raise VerificationError(f"{name}: frame {number} of the result is {frame.width}x{frame.height}")
    before_tags, after_tags = (
        [_tag(int(each)) for each in (by.colorspace, by.color_primaries, by.color_trc)] for by in (info, frame)
    )
    if before_tags != after_tags:
        raise VerificationError(f"{name}: frame {number} of the result has colour tags {after_tags}, not {before_tags}")


def _compare_other_streams(source: Source, result_path: str | os.PathLike[str], muxer: str, name: str) -> None:
    with open_input(source, name) as original, open_input(os.fspath(result_path), name) as result:
        before, after = _trace(original, muxer, name), _trace(result, muxer, name)
        chapters = (len(original.chapters()), len(result.chapters()))
    if [trace.described for trace in before] != [trace.described for trace in after]:
        raise VerificationError(
            f"{name}: its other streams were {[trace.described for trace in before]} and would be "
            f"{[trace.described for trace in after]}"
        )
    if chapters[0] != chapters[1]:
        raise VerificationError(f"{name}: had {chapters[0]} chapters and would have {chapters[1]}")
    for left, right in zip(before, after, strict=True):
        _compare_traces(left, right, name)


def _trace(container: InputContainer, muxer: str, name: str) -> list[_PacketTrace]:
    main = main_video_stream(container, name)
    streams = carried_streams(container, main, muxer)
    traces = {
        stream.index: _PacketTrace(_described(stream), time_base(stream), stream.type == "attachment")
        for stream in streams
    }
    for packet in read_packets(container, streams, name):
        trace = traces[packet.stream_index]
        trace.checksums.append(zlib.crc32(memoryview(packet)))
        trace.times.append(packet.pts if packet.pts is not None else packet.dts or 0)
    # Muxers leave out a track without packets; there is nothing in it to lose.
    return [trace for trace in traces.values() if trace.is_attachment or len(trace.checksums)]


def _described(stream: av.stream.Stream) -> str:
    codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""
    language = stream.metadata.get("language", "und")
    return " ".join(part for part in (stream.type, codec, language if language != "und" else "") if part)


def _compare_traces(before: _PacketTrace, after: _PacketTrace, name: str) -> None:
    what = f"{name}: its {before.described}"
    if len(before.checksums) != len(after.checksums):
        raise VerificationError(f"{what} had {len(before.checksums)} packets and would have {len(after.checksums)}")
    tolerance = max(before.tick, after.tick)
    pairs = zip(before.checksums, after.checksums, before.times, after.times, strict=True)
    for number, (left, right, left_time, right_time) in enumerate(pairs):
        if left != right:
            raise VerificationError(f"{what} differs in the bytes of packet {number}")
        shift = abs(left_time * before.tick - right_time * after.tick)
        if shift > tolerance:
            raise VerificationError(f"{what} would be {float(shift):.6f} s off at packet {number}")
