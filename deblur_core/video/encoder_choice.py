"""Chooses the encoder for a video: the codec family of the source, in exactly its pixel format, or a refusal.

It knows what each encoder takes and at which settings an untouched frame comes out nearly as it went in (measured, see
docs/measurements.md). It does not encode.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av

from deblur_core.errors import DeclinedVideoError, UsageError
from deblur_core.video.containers import holds, is_mp4_family, muxer_for
from deblur_core.video.pixel_format import ffv1_name, plain_name
from deblur_core.video.probe import DOLBY_VISION, HDR10_PLUS, MasteringDisplay, VideoInfo

CODECS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9", "ffv1": "ffv1"}
_FAMILY = {**CODECS, "vp8": "libvpx-vp9"}
_FALLBACKS = ("libx264", "libx265", "libvpx-vp9", "ffv1")
_TAKES_ODD_SIZES = {"libvpx-vp9", "ffv1"}
_DEFAULT_CRF = {"libx264": 16.0, "libx265": 18.0, "libsvtav1": 18.0, "libvpx-vp9": 10.0, "ffv1": 0.0}
_DEFAULT_PRESET = {"libx264": "veryfast", "libx265": "ultrafast", "libsvtav1": "8", "libvpx-vp9": "8", "ffv1": ""}
_SMALLEST_AV1 = 64
_LEAST_SIDE = 2
_UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED
_CRF_LIMIT = {"libx264": 51, "libx265": 51, "libsvtav1": 63, "libvpx-vp9": 63, "ffv1": 63}
_DEFAULT_RATE = Fraction(25)
_KEYFRAME_SECONDS = 5
_KEYFRAME_FRAMES = 250


@dataclass(frozen=True)
class EncodeSettings:
    """What a user may say about encoding."""

    codec: str = "auto"
    """auto keeps the source's family; or h264, hevc, av1, vp9, ffv1"""
    crf: float | None = None
    """quality of restored frames on the encoder's own scale; None is the measured default"""
    preset: str | None = None
    """the encoder's own word for speed"""
    threads: int = 1
    """encoder threads a segment; the result depends on it, so a run keeps one number"""


@dataclass(frozen=True)
class BesideH264:
    """What makes H.264 pictures fit into one stream with those of the source."""

    parameter_set_id: int
    """one that the source leaves free"""
    profile: str
    """x264's name of the source's, which is not exceeded"""
    buffered_frames: int
    """how many frames the source's decoder holds: with as many, no decoder needs to be set up anew"""


@dataclass(frozen=True)
class BesideHevc:
    """The same for HEVC, whose parameter sets get other ids after they were written."""

    smallest_block: int
    """side of the smallest coding block, to whole numbers of which pictures are filled up: as large as the source's"""


@dataclass(frozen=True)
class EncoderChoice:
    """Everything that fixes how the segments of one video are encoded; equal for all of them."""

    encoder: str
    """FFmpeg's name (libx264, …)"""
    pixel_format: str
    full_range: bool
    crf: float
    """for restored frames"""
    preset: str
    rate: Fraction
    """nominal frames a second: what the encoder believes; real times are put back when the video is rebuilt"""
    keyframe_interval: int
    threads: int
    mastering_display: MasteringDisplay | None
    content_light: tuple[int, int] | None
    beside: BesideH264 | BesideHevc | None = None
    """set where packets of the source stay between the encoded ones"""


def choose_encoder(info: VideoInfo, container_suffix: str, settings: EncodeSettings | None = None) -> EncoderChoice:
    """The encoder for results with this suffix (".mp4"): the source's codec family if a good encoder for it takes the
    source's pixel format and size, else the first of H.264, HEVC, VP9 and FFV1 that does and that the container holds.

    Raises DeclinedVideoError where nothing encodes this video without changing what it is, UsageError for settings that
    no encoder has.
    """
    settings = settings or EncodeSettings()
    _check_settings(settings)
    _decline_interlaced(info)
    _decline_lines(info)
    pixel_format = plain_name(info.pixel_format)
    muxer = muxer_for("result" + container_suffix)
    if settings.codec == "auto":
        wanted = list(dict.fromkeys([_FAMILY.get(info.codec, _FALLBACKS[0]), *_FALLBACKS]))
    else:
        wanted = [CODECS[settings.codec]]
    for encoder in wanted:
        if holds(muxer, encoder) and _fits(encoder, muxer, info):
            _decline_lost_metadata(info, encoder)
            return _choice(encoder, _layout(encoder, pixel_format), info, settings)
    raise _refusal(wanted, container_suffix or "Matroska", muxer, info)


def _layout(encoder: str, pixel_format: str) -> str:
    return ffv1_name(pixel_format) if encoder == "ffv1" else pixel_format


def _fits(encoder: str, muxer: str, info: VideoInfo) -> bool:
    layout = _layout(encoder, plain_name(info.pixel_format))
    return _takes(encoder, layout, info.width, info.height) and _keeps_pixel_shape(encoder, muxer, info)


def _refusal(wanted: list[str], kind: str, muxer: str, info: VideoInfo) -> DeclinedVideoError:
    """Says whose fault it is that none of these encoders will do, and what would."""
    others = [codec for codec, encoder in CODECS.items() if holds(muxer, encoder) and _fits(encoder, muxer, info)]
    # Masters get a file of their own, whatever the source is called.
    others += ["ffv1"] * ("ffv1" not in others and _fits("ffv1", "matroska", info))
    cure = f"choose --codec {' or '.join(others)}" if others else "convert it to yuv420p first"
    held = [encoder for encoder in wanted if holds(muxer, encoder)]
    names = " or ".join(codec for codec, encoder in CODECS.items() if encoder in (held or wanted))
    if not held:
        return DeclinedVideoError(f"a {kind} file does not hold {names}; {cure}")
    if not any(_keeps_pixel_shape(encoder, muxer, info) for encoder in held):
        return DeclinedVideoError(f"{names} in a {kind} file would lose that its pixels are not square; {cure}")
    what = f"{info.width}x{info.height} {info.pixel_format} cannot be encoded exactly by {' or '.join(wanted)}"
    if plain_name(info.pixel_format) == "yuv420p":
        return DeclinedVideoError(f"{what} into a {kind} file, because of its size; {cure}")
    return DeclinedVideoError(
        f"{what} into a {kind} file; convert it to yuv420p first{f', or {cure}' if others else ''}"
    )


def _choice(encoder: str, pixel_format: str, info: VideoInfo, settings: EncodeSettings) -> EncoderChoice:
    rate = nominal_rate(info.average_rate)
    return EncoderChoice(
        encoder=encoder,
        pixel_format=pixel_format,
        full_range=info.color_range == 2 or info.pixel_format.startswith("yuvj"),
        crf=min(_DEFAULT_CRF[encoder] if settings.crf is None else settings.crf, _CRF_LIMIT[encoder]),
        preset=settings.preset or _DEFAULT_PRESET[encoder],
        rate=rate,
        keyframe_interval=max(1, min(_KEYFRAME_FRAMES, round(_KEYFRAME_SECONDS * rate))),
        threads=settings.threads,
        mastering_display=info.mastering_display,
        content_light=info.content_light,
    )


def nominal_rate(average_rate: Fraction | None) -> Fraction:
    """A frame rate that every encoder takes: variable-rate files carry averages with huge terms, broken ones 1000."""
    if average_rate is None or not 1 <= average_rate <= 480:
        return _DEFAULT_RATE
    return average_rate if average_rate.denominator <= 1001 else average_rate.limit_denominator(1001)


def _check_settings(settings: EncodeSettings) -> None:
    if settings.codec != "auto" and settings.codec not in CODECS:
        raise UsageError(f"--codec {settings.codec} is unknown; use auto, {', '.join(CODECS)}")
    if settings.crf is not None and not 0 <= settings.crf <= 63:
        raise UsageError(f"--crf {settings.crf} is out of range; use 0 to 51 (63 for vp9 and av1)")
    if settings.threads < 1:
        raise UsageError(f"encoder threads must be at least 1, not {settings.threads}")


def _decline_interlaced(info: VideoInfo) -> None:
    if info.interlaced:
        raise DeclinedVideoError("the video is interlaced: its frames are two moments in one; deinterlace it first")


def _decline_lines(info: VideoInfo) -> None:
    if min(info.width, info.height) < _LEAST_SIDE:
        raise DeclinedVideoError(
            f"its pictures of {info.width}x{info.height} are lines of pixels, where nobody can tell blurred from sharp"
        )


def _decline_lost_metadata(info: VideoInfo, encoder: str) -> None:
    """HDR10+ and Dolby Vision over an ordinary base layer are carried from HEVC to HEVC; nothing else that describes
    each picture anew survives encoding."""
    framed = info.container.startswith(("mov,", "matroska"))
    carried = set()
    if info.codec == "hevc" and encoder == "libx265" and framed:
        carried.add(HDR10_PLUS)
        # Without a matrix of its own the base layer is in Dolby's own colours, which only its RPUs explain.
        if info.colorspace != _UNSPECIFIED_MATRIX:
            carried.add(DOLBY_VISION)
    lost = [label for label in info.dynamic_metadata if label not in carried]
    if lost:
        raise DeclinedVideoError(f"the video carries {' and '.join(lost)}, which encoding its frames again would lose")


def _keeps_pixel_shape(encoder: str, muxer: str, info: VideoInfo) -> bool:
    """VP9 and AV1 leave the pixel aspect ratio to the container, and PyAV cannot tell Matroska's muxer."""
    square = info.sample_aspect_ratio in (None, 0, 1)
    return square or is_mp4_family(muxer) or encoder not in ("libvpx-vp9", "libsvtav1")


def _takes(encoder: str, pixel_format: str, width: int, height: int) -> bool:
    formats = {each.name: each for each in av.Codec(encoder, "w").video_formats or []}
    if pixel_format not in formats:
        return False
    if encoder == "ffv1":
        return True
    if any(component.is_alpha for component in formats[pixel_format].components):
        return False
    if encoder == "libsvtav1" and min(width, height) < _SMALLEST_AV1:
        return False
    return encoder in _TAKES_ODD_SIZES or not _cuts_chroma(av.VideoFormat(pixel_format, width, height))


def _cuts_chroma(pixel_format: av.VideoFormat) -> bool:
    """Whether the last column or row of chroma samples covers only half a sample pair (4:2:0 of odd size)."""
    width, height = pixel_format.width, pixel_format.height
    return 2 * pixel_format.chroma_width(width) == width + 1 or 2 * pixel_format.chroma_height(height) == height + 1
