"""What a video file is: container, streams, size, pixel format, colour, rotation, HDR metadata.

Reads the headers and decodes one frame; it knows nothing about the other frames or their times.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from deblur_core.errors import DamagedVideoError
from deblur_core.video.chroma import chroma_location
from deblur_core.video.frame_side_data import side_data_of
from deblur_core.video.limits import check_picture_size, explained_failure
from deblur_core.video.source import Source, each_packet, is_cover, main_video_stream, open_input, time_base
from deblur_core.video.source_quantiser import finest_quantiser
from deblur_core.video.transport_service import read_service

HDR10_PLUS = "HDR10+"
DOLBY_VISION = "Dolby Vision"
# Metadata of a frame that describes each picture anew, so that it cannot survive encoding the pictures again.
_DYNAMIC_METADATA = {
    "DOVI_RPU_BUFFER": DOLBY_VISION,
    "DYNAMIC_HDR_PLUS": HDR10_PLUS,
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
}
_RGB_MATRIX, _UNSPECIFIED_MATRIX = 0, 2  # AVCOL_SPC_…
_FIELD_ORDER_PROGRESSIVE = 1  # AV_FIELD_PROGRESSIVE; 0 is unknown, greater is interlaced


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a container."""

    index: int
    kind: str
    """video, audio, subtitle, data or attachment"""
    codec: str
    """FFmpeg's codec name (aac, mov_text, …); empty where FFmpeg knows none"""
    language: str | None
    disposition: int
    """AV_DISPOSITION_… bits"""
    is_cover: bool
    """an attached picture, not a video"""


@dataclass(frozen=True)
class MasteringDisplay:
    """SMPTE ST 2086: primaries and white point as (x, y) in units of 1/50000, luminance in 1/10000 cd/m²."""

    red: tuple[int, int]
    green: tuple[int, int]
    blue: tuple[int, int]
    white: tuple[int, int]
    luminance_max: int
    luminance_min: int


@dataclass(frozen=True)
class VideoInfo:
    """What must stay the same when the frames of a video are restored. Enumerations are FFmpeg's integers."""

    container: str
    codec: str
    codec_tag: str
    """four characters in MP4 and MOV (avc1, hvc1, hev1, …)"""
    width: int
    height: int
    pixel_format: str
    bit_depth: int
    time_base: Fraction
    average_rate: Fraction | None
    """frames a second"""
    sample_aspect_ratio: Fraction | None
    """width of a pixel over its height; None where the file does not say"""
    color_range: int
    colorspace: int
    color_primaries: int
    color_trc: int
    chroma_location: int
    """AVCHROMA_LOC_…; 0 where nothing is said, or chroma has no grid of its own"""
    rotation_degrees: int
    """counter-clockwise turn with which players show the video, -180..180"""
    display_matrix: tuple[int, ...] | None
    """the nine numbers of AV_PKT_DATA_DISPLAYMATRIX; None where the file has none"""
    interlaced: bool
    mastering_display: MasteringDisplay | None
    content_light: tuple[int, int] | None
    """MaxCLL and MaxFALL in cd/m²"""
    dynamic_metadata: tuple[str, ...]
    """what encoding again would lose: metadata of each frame (Dolby Vision, HDR10+, …), and pictures that lie beside
    those of the main video (transparency, other views, other programs)"""
    finest_quantiser: float | None
    """least mean QP of sampled keyframes (H.264 only): untouched frames need not be encoded finer than theirs allows"""
    duration_seconds: float | None
    stream_index: int
    streams: tuple[StreamInfo, ...]
    extradata: bytes = b""
    """what the container stores for the decoder of the video (avcC, hvcC, …)"""


def probe(source: Source, name: str) -> VideoInfo:
    """Describes the video in `source` (a path or a seekable binary file); decodes its first frame.

    Raises NotAVideoError (not a media file, no video stream, cover art only) or DamagedVideoError (no frame decodes).
    """
    quantiser = finest_quantiser(source, name)
    programs = read_service(source).programs
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        streams = tuple(_describe(each) for each in container.streams)
        duration = container.duration / av.time_base if container.duration else None
        frame = _first_frame(container, stream, name)
        context = stream.codec_context
        side_data = _side_data(frame)
        return VideoInfo(
            container=container.format.name,
            codec=context.codec.canonical_name,
            codec_tag=context.codec_tag,
            width=frame.width,
            height=frame.height,
            pixel_format=frame.format.name,
            bit_depth=frame.format.components[0].bits,
            time_base=time_base(stream),
            average_rate=stream.average_rate or stream.guessed_rate,
            sample_aspect_ratio=stream.sample_aspect_ratio,
            color_range=int(frame.color_range),
            colorspace=_matrix(frame),
            color_primaries=int(frame.color_primaries),
            color_trc=int(frame.color_trc),
            chroma_location=chroma_location(frame, context.codec.canonical_name),
            rotation_degrees=int(frame.rotation),
            display_matrix=_integers(side_data.get("DISPLAYMATRIX"), 9),
            interlaced=frame.interlaced_frame or context.field_order > _FIELD_ORDER_PROGRESSIVE,
            mastering_display=_mastering_display(side_data.get("MASTERING_DISPLAY_METADATA")),
            content_light=_content_light(side_data.get("CONTENT_LIGHT_LEVEL")),
            dynamic_metadata=_dynamic_metadata(side_data, stream) + _beside(stream, programs),
            finest_quantiser=quantiser,
            duration_seconds=duration,
            stream_index=stream.index,
            streams=streams,
            extradata=context.extradata or b"",
        )


def _describe(stream: av.stream.Stream) -> StreamInfo:
    context = stream.codec_context
    data_name = (stream.name or "") if stream.type == "data" else ""
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=context.codec.canonical_name if context is not None else data_name,
        language=stream.metadata.get("language"),
        disposition=int(stream.disposition),
        is_cover=is_cover(stream),
    )


def _first_frame(container: av.container.InputContainer, stream: VideoStream, name: str) -> VideoFrame:
    if stream.codec_context is None:
        raise DamagedVideoError(f"{name}: no decoder knows the codec of its video stream; convert it first")
    packet = None
    try:
        for packet in each_packet(container, stream):
            for frame in stream.decode(packet):
                check_picture_size(frame.width, frame.height, name)
                return frame
    except av.FFmpegError as error:
        raise explained_failure(error, "its first frame", packet, stream, name) from error
    raise DamagedVideoError(f"{name}: its video stream holds no frame")


def _side_data(frame: VideoFrame) -> dict[str, bytes]:
    """Side data by name. A kind that PyAV has no name for makes all of it unreadable; that is recorded, not ignored."""
    try:
        return {item.type.name: bytes(item) for item in side_data_of(frame)}
    except ValueError:
        return {"UNKNOWN": b""}


def _dynamic_metadata(side_data: dict[str, bytes], stream: VideoStream) -> tuple[str, ...]:
    found = [label for kind, label in _DYNAMIC_METADATA.items() if kind in side_data]
    if "UNKNOWN" in side_data or stream.disposition & av.stream.Disposition.multilayer:
        found.append("several views")
    return tuple(found)


def _beside(stream: VideoStream, programs: int) -> tuple[str, ...]:
    """VP8 and VP9 keep transparency in a second stream of pictures, which FFmpeg's own decoders leave out."""
    found = ["transparency"] if stream.metadata.get("alpha_mode", "0") != "0" else []
    return tuple(found + ["several programs"] * (programs > 1))


def _matrix(frame: VideoFrame) -> int:
    """Some files give YUV the matrix of RGB, which says nothing."""
    matrix = int(frame.colorspace)
    return _UNSPECIFIED_MATRIX if matrix == _RGB_MATRIX and not frame.format.is_rgb else matrix


def _integers(data: bytes | None, count: int) -> tuple[int, ...] | None:
    return struct.unpack(f"={count}i", data[: 4 * count]) if data else None


def _mastering_display(data: bytes | None) -> MasteringDisplay | None:
    """AVMasteringDisplayMetadata: ten rationals (r, g, b, white as x, y; then min, max), then two flags."""
    numbers = _integers(data, 22)
    if numbers is None or not (numbers[20] and numbers[21]):
        return None
    ratios = [Fraction(numbers[2 * i], numbers[2 * i + 1] or 1) for i in range(10)]
    points = [(round(ratios[2 * i] * 50000), round(ratios[2 * i + 1] * 50000)) for i in range(4)]
    return MasteringDisplay(
        red=points[0],
        green=points[1],
        blue=points[2],
        white=points[3],
        luminance_min=round(ratios[8] * 10000),
        luminance_max=round(ratios[9] * 10000),
    )


def _content_light(data: bytes | None) -> tuple[int, int] | None:
    return struct.unpack("=2I", data[:8]) if data else None
