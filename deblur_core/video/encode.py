"""Encodes the frames of one segment to a part file: restored frames at the user's quality, the others nearly untouched.

A part is a Matroska file whose time stamps are the ordinals of the frames within the segment, one millisecond each: the
real times live in the index and are put back when the video is rebuilt. It starts with a keyframe, refers to nothing
outside, and its parameter sets are equal for all parts of a video. It knows nothing of sound or of other segments.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType, VideoFrame

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.chroma import LOCATION_NAMES
from deblur_core.video.encoder_choice import BesideH264, BesideHevc, EncoderChoice, EncodeSettings, choose_encoder
from deblur_core.video.matroska_hdr import add_static_hdr
from deblur_core.video.pixel_format import plain_name, to_layout
from deblur_core.video.preservation import ffv1_options
from deblur_core.video.probe import MasteringDisplay, VideoInfo
from deblur_core.video.repeatable import X264_PARAMS
from deblur_core.video.scheduling import usual_scheduling

__all__ = ["ORDINAL_TICK", "EncodeSettings", "EncoderChoice", "choose_encoder", "encode_segment"]

ORDINAL_TICK = Fraction(1, 1000)
"""Seconds that stand for one frame in a part file"""

# Quantiser of untouched frames for 8 bits: loses less than 0.1 dB of a source of 38 to 42 dB (docs/measurements.md).
_UNTOUCHED_QUANTISER = 2
_QUANTISER_STEPS_A_BIT = 6
# A coarser source hides more: at so many steps below its finest keyframes the loss stays under the same 0.1 dB.
_STEPS_BELOW_SOURCE = 22
_UNTOUCHED_X265_QUANTISER = 3
_UNTOUCHED_VP9_CRF = 0
_FULL_RANGE = 2
_WITHOUT_STATIC_HDR = {"ffv1", "libvpx-vp9"}
_LEFT = 1  # AVCHROMA_LOC_LEFT


def encode_segment(
    frames: Iterable[VideoFrame],
    restored: Sequence[bool] | np.ndarray,
    info: VideoInfo,
    choice: EncoderChoice,
    path: str | os.PathLike[str],
    starts: Collection[int] = (),
) -> None:
    """Writes the frames of one segment, in order, as the part file `path`; `restored` has one entry a frame.

    starts: ordinals of frames that begin a GOP whatever the encoder thinks; only where `choice` says what is beside.
    Frames are read one at a time and given ordinals as their pts. Repeatable: equal frames give an equal file.
    Raises DeclinedVideoError for a frame that is interlaced or not of the size and pixel format of `info`, ValueError
    if there are more or fewer frames than `restored` has entries.
    """
    flags = np.asarray(restored, bool)
    if not len(flags):
        raise ValueError("a segment has at least one frame")
    # Matroska would put a random identifier and FFmpeg's version into every file.
    with av.open(os.fspath(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = _open_stream(container, flags, info, choice)
        if any(start and not flags[start] for start in starts):
            # x264 and x265 give an I picture amid a stream the mean quantiser of the P pictures before it over this
            # ratio, whatever its zone says: those are restored frames, and this one is not.
            key = "x264-params" if choice.encoder == "libx264" else "x265-params"
            stream.options = {**stream.options, key: stream.options[key] + ":ipratio=12"}
        packets = 0
        for packet in _encoded(stream, frames, flags, info, choice, starts):
            packet.time_base = ORDINAL_TICK
            packet.duration = 1
            container.mux(packet)
            packets += 1
    if choice.encoder in _WITHOUT_STATIC_HDR and (choice.mastering_display or choice.content_light):
        add_static_hdr(path, choice.mastering_display, choice.content_light)
    if packets != len(flags):
        raise ValueError(f"{choice.encoder} made {packets} packets of {len(flags)} frames in {Path(path).name}")


def _open_stream(
    container: av.container.OutputContainer, flags: np.ndarray, info: VideoInfo, choice: EncoderChoice
) -> Any:
    stream: Any = container.add_stream(
        choice.encoder, rate=choice.rate, width=info.width, height=info.height, pix_fmt=choice.pixel_format
    )
    context = stream.codec_context
    context.time_base = 1 / choice.rate
    context.gop_size = choice.keyframe_interval
    context.thread_count = choice.threads
    context.color_range = _FULL_RANGE if choice.full_range else info.color_range
    context.colorspace, context.color_primaries, context.color_trc = (
        info.colorspace,
        info.color_primaries,
        info.color_trc,
    )
    if info.sample_aspect_ratio:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    stream.options = _options(flags, info, choice) | _chroma_location(info, choice)
    if choice.encoder == "libsvtav1":
        # SVT-AV1 writes its banner to stderr; this variable is its only switch.
        os.environ.setdefault("SVT_LOG", "1")
    return stream


def _encoded(
    stream: Any,
    frames: Iterable[VideoFrame],
    flags: np.ndarray,
    info: VideoInfo,
    choice: EncoderChoice,
    starts: Collection[int],
) -> Iterator[av.Packet]:
    number = 0
    for frame in frames:
        if number == len(flags):
            raise ValueError(f"more frames than the {len(flags)} of the segment")
        _check(frame, number, info)
        plain = to_layout(frame, choice.pixel_format)
        plain.pts, plain.time_base = number, 1 / choice.rate
        # The source's own choice of I, P and B must not bind this encoder.
        plain.pict_type = PictureType.I if number in starts else PictureType.NONE
        with usual_scheduling():
            packets = stream.encode(plain)
        yield from packets
        number += 1
    if number < len(flags):
        raise ValueError(f"only {number} frames of the {len(flags)} of the segment")
    yield from stream.encode(None)


def _check(frame: VideoFrame, number: int, info: VideoInfo) -> None:
    if (frame.width, frame.height) != (info.width, info.height):
        raise DeclinedVideoError(
            f"frame {number} of the segment is {frame.width}x{frame.height}, the video {info.width}x{info.height}; "
            "split the video where its size changes"
        )
    if plain_name(frame.format.name) != plain_name(info.pixel_format):
        raise DeclinedVideoError(
            f"frame {number} of the segment is {frame.format.name}, the video {info.pixel_format}; "
            "split the video where its pixel format changes"
        )
    if frame.interlaced_frame:
        raise DeclinedVideoError(f"frame {number} of the segment is interlaced; deinterlace the video first")


def _options(flags: np.ndarray, info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    return {
        "libx264": _x264_options,
        "libx265": _x265_options,
        "libsvtav1": _svtav1_options,
        "libvpx-vp9": _vp9_options,
        "ffv1": _ffv1_options,
    }[choice.encoder](flags, info, choice)


def _x264_options(flags: np.ndarray, info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    """No B-frames: their quantiser is the mean of their neighbours', so a zone does not bind them. No skipping and no
    dropping of small residuals, which at these quantisers cost more than the quantiser."""
    quantiser = _UNTOUCHED_QUANTISER + _QUANTISER_STEPS_A_BIT * (info.bit_depth - 8)
    if info.finest_quantiser is not None:
        quantiser = max(quantiser, round(info.finest_quantiser) - _STEPS_BELOW_SOURCE)
    params = {
        "stitchable": "1",
        "bframes": "0",
        "no-fast-pskip": "1",
        "no-dct-decimate": "1",
        # x264 coarsens the chroma of 4:4:4 by 6 steps on its own.
        "chroma-qp-offset": "-6" if "444" in choice.pixel_format else "-2",
        **X264_PARAMS,
        **_static_hdr(choice, "mastering-display", "cll"),
    }
    zones = [f"{start},{stop - 1},q={quantiser}" for start, stop in _untouched_runs(flags)]
    if zones:
        params["zones"] = "/".join(zones)
    options = {"preset": choice.preset, "crf": str(choice.crf)}
    if isinstance(choice.beside, BesideH264):
        params |= {"sps-id": str(choice.beside.parameter_set_id), "dpb-size": str(choice.beside.buffered_frames)}
        options |= {"profile": choice.beside.profile, "forced-idr": "1"}
    return options | {"x264-params": _joined(params)}


def _x265_options(flags: np.ndarray, info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    """As for x264; x265's zones end before their last number, and its quantisers start below 0 for deeper samples."""
    params = {
        "log-level": "none",
        "info": "0",
        "bframes": "0",
        "open-gop": "0",
        "cbqpoffs": "-2",
        "crqpoffs": "-2",
        "pools": "none" if choice.threads == 1 else str(choice.threads),
        "frame-threads": "1",
        **_static_hdr(choice, "master-display", "max-cll"),
    }
    zones = [f"{start},{stop},q={_UNTOUCHED_X265_QUANTISER}" for start, stop in _untouched_runs(flags)]
    if zones:
        params["zones"] = "/".join(zones)
    options = {"preset": choice.preset, "crf": str(choice.crf), "a53cc": "1"}
    if isinstance(choice.beside, BesideHevc):
        params |= {"min-cu-size": str(choice.beside.smallest_block), "wpp": "0"}
        options["forced-idr"] = "1"
    return options | {"x265-params": _joined(params)}


def _svtav1_options(flags: np.ndarray, info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    """SVT-AV1 has no quantiser per frame and its best lossy one loses 0.2 dB, so untouched frames make it lossless."""
    params = {
        "lp": str(choice.threads),
        "enable-tf": "0",
        **_static_hdr(choice, "mastering-display", "content-light"),
    }
    if not flags.all():
        params["lossless"] = "1"
    return {"preset": choice.preset, "crf": str(round(choice.crf)), "svtav1-params": _joined(params)}


def _vp9_options(flags: np.ndarray, info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    """libvpx has no quantiser per frame: a segment with an untouched frame is encoded as finely as that frame needs."""
    crf = choice.crf if flags.all() else min(choice.crf, _UNTOUCHED_VP9_CRF)
    return {
        "crf": str(round(crf)),
        "b": "0",
        "deadline": "realtime",
        "cpu-used": choice.preset,
        "auto-alt-ref": "0",
        "lag-in-frames": "0",
    }


def _ffv1_options(flags: np.ndarray, info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    return ffv1_options(info.width, info.height, choice.pixel_format)


def _chroma_location(info: VideoInfo, choice: EncoderChoice) -> dict[str, str]:
    """Left is what H.264 and HEVC mean by saying nothing; other codecs leave it to the container."""
    is_said = info.chroma_location and not (info.chroma_location == _LEFT and choice.encoder in ("libx264", "libx265"))
    return {"chroma_sample_location": LOCATION_NAMES[info.chroma_location]} if is_said else {}


def _untouched_runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the runs of frames that are not restored."""
    runs, at = [], 0
    for is_restored, run in groupby(flags.tolist()):
        length = len(list(run))
        if not is_restored:
            runs.append((at, at + length))
        at += length
    return runs


def _static_hdr(choice: EncoderChoice, display_key: str, light_key: str) -> dict[str, str]:
    params = {}
    if choice.mastering_display is not None:
        params[display_key] = _display_text(choice.mastering_display, choice.encoder)
    if choice.content_light is not None:
        params[light_key] = ",".join(str(value) for value in choice.content_light)
    return params


def _display_text(display: MasteringDisplay, encoder: str) -> str:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min): integers for x264 and x265, real numbers for SVT-AV1."""
    points = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    luminance = (display.luminance_max, display.luminance_min)
    if encoder == "libsvtav1":
        parts = [f"{key}({x / 50000:.5f},{y / 50000:.5f})" for key, (x, y) in points.items()]
        return "".join(parts) + f"L({luminance[0] / 10000:.4f},{luminance[1] / 10000:.4f})"
    parts = [f"{key}({x},{y})" for key, (x, y) in points.items()]
    return "".join(parts) + f"L({luminance[0]},{luminance[1]})"


def _joined(params: dict[str, str]) -> str:
    return ":".join(f"{key}={value}" for key, value in params.items())
