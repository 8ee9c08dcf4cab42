"""Pixel formats: which hold the same samples in another order, and how a frame goes from one to the other unchanged.

FFmpeg has many layouts for the same samples: old full-range names (yuvj420p), packed ones (uyvy422, rgb24), chroma in
pairs (nv12), big-endian ones. Each has one planar little-endian name here. Samples are moved, never converted.
"""

from __future__ import annotations

import threading

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

_FULL = 2  # AVCOL_RANGE_JPEG
_PLANAR = {
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp"),
    **dict.fromkeys(("rgba", "bgra", "argb", "abgr"), "gbrap"),
    **dict.fromkeys(("rgb48le", "bgr48le", "rgb48be", "bgr48be"), "gbrp16le"),
    **dict.fromkeys(("rgba64le", "bgra64le", "rgba64be", "bgra64be"), "gbrap16le"),
    **dict.fromkeys(("yuyv422", "uyvy422", "yvyu422", "nv16"), "yuv422p"),
    **dict.fromkeys(("nv12", "nv21"), "yuv420p"),
    **dict.fromkeys(("nv24", "nv42", "vuyx"), "yuv444p"),
    **dict.fromkeys(("p210le", "y210le"), "yuv422p10le"),
    **dict.fromkeys(("p410le", "xv30le", "v30xle"), "yuv444p10le"),
    "vuya": "yuva444p",
    "ayuv": "yuva444p",
    "ayuv64le": "yuva444p16le",
    "x2rgb10le": "gbrp10le",
}
# FFV1 as FFmpeg writes it has 8-bit RGB only packed.
_FFV1 = {"gbrp": "bgr0", "gbrap": "bgra"}
_MOVES_ONLY = (
    Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# Reformatters keep their scaler between calls; one belongs to one thread.


class ThreadsReformatter(threading.local):
    """A reformatter for each thread. One instance for each kind of conversion: it is set up anew when that changes."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_own = ThreadsReformatter()


def plain_name(pixel_format: str) -> str:
    """The planar little-endian format that holds the same samples: yuvj420p → yuv420p, uyvy422 → yuv422p, bgr0 → gbrp;
    other names as they are."""
    if pixel_format.startswith("yuvj"):
        return "yuv" + pixel_format[4:]
    if pixel_format in _PLANAR:
        return _PLANAR[pixel_format]
    if pixel_format.endswith("be") and pixel_format.startswith(("yuv", "gbrp", "gbrap", "gray1", "gray9")):
        return pixel_format[:-2] + "le"
    return pixel_format


def ffv1_name(pixel_format: str) -> str:
    """The format of the same samples that FFV1 stores."""
    plain = plain_name(pixel_format)
    return _FFV1.get(plain, plain)


def is_full_range(frame: VideoFrame) -> bool:
    """Whether black is 0: tagged so, RGB, or in one of FFmpeg's old pixel formats that say so (yuvj420p, …)."""
    return frame.format.name.startswith("yuvj") or frame.color_range == _FULL or frame.format.is_rgb


def copy_tags(source: VideoFrame, target: VideoFrame) -> None:
    """Gives `target` the time and the colour tags of `source`."""
    target.pts = source.pts
    if source.time_base is not None:
        target.time_base = source.time_base
    target.colorspace, target.color_range = source.colorspace, source.color_range
    target.color_primaries, target.color_trc = source.color_primaries, source.color_trc


def samples(frame: VideoFrame, plane: int) -> np.ndarray:
    """A view of one plane of a planar or gray frame: [h, w] uint8, or uint16 holding the format's own bits.

    The frame must outlive it. Writable where the frame is.
    """
    buffer = frame.planes[plane]
    bits = frame.format.components[0].bits
    dtype = np.dtype("u1") if bits <= 8 else np.dtype(">u2" if frame.format.is_big_endian else "<u2")
    rows = np.frombuffer(memoryview(buffer), dtype)
    return rows.reshape(buffer.height, buffer.line_size // dtype.itemsize)[:, : buffer.width]


def to_plain(frame: VideoFrame) -> VideoFrame:
    """The same samples, time and tags under the plain pixel format; the frame itself if it has one already."""
    return to_layout(frame, plain_name(frame.format.name))


def to_layout(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    """The same samples, time and tags in another layout; the frame itself if it has that one already.

    Raises ValueError if `pixel_format` does not hold the same samples.
    """
    name = frame.format.name
    if name == pixel_format:
        return frame
    if plain_name(name) != plain_name(pixel_format):
        raise ValueError(f"{pixel_format} does not hold the samples of {name}")
    same_planes = name.startswith("yuvj") or pixel_format.startswith("yuvj")
    moved = _copied(frame, pixel_format) if same_planes else _moved(frame, pixel_format)
    copy_tags(frame, moved)
    if is_full_range(frame) and not frame.format.is_rgb:
        moved.color_range = _FULL
    return moved


def chroma_steps(pixel_format: VideoFormat) -> tuple[int, int]:
    """Luma rows and columns for one chroma sample: (2, 2) for 4:2:0, (1, 1) for 4:4:4, RGB and gray."""
    wide = 64
    return wide // pixel_format.chroma_height(wide), wide // pixel_format.chroma_width(wide)


def _copied(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    copied = VideoFrame(frame.width, frame.height, pixel_format)
    for plane in range(len(frame.planes)):
        samples(copied, plane)[:] = samples(frame, plane)
    return copied


def _moved(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    return _own.reformatter.reformat(
        frame,
        format=pixel_format,
        # One matrix and one range on both sides, so that nothing is converted; which, does not matter.
        src_colorspace=Colorspace.ITU601,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_MOVES_ONLY,
        threads=1,
    )
