"""Between a decoder's frames and arrays: the luma plane as it is, and RGB by the video's own matrix and range and back.

It does no colour management: primaries and transfer curve pass through as tags, RGB stays in the video's own gamma.
"""

from __future__ import annotations

import threading

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from deblur_core.errors import DeclinedVideoError

_SCALER = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
_RGB_MATRIX = 0  # AVCOL_SPC_RGB
# Reformatters keep their scaler between calls; one belongs to one thread.
_local = threading.local()


def luma(frame: VideoFrame) -> np.ndarray:
    """The luma of `frame`: [H, W] uint8, or uint16 holding the source's own bits where it is deeper than 8.

    For planar YUV and gray this is a read-only view of the decoder's plane, in the video's own range. Other layouts
    (RGB, packed YUV) are converted.
    """
    if not _has_luma_plane(frame):
        deep = frame.format.components[0].bits > 8
        frame = _reformat(frame, "gray16le" if deep else "gray", "luma")
    plane = frame.planes[0]
    bits = frame.format.components[0].bits
    dtype = np.dtype("u1") if bits <= 8 else np.dtype(">u2" if frame.format.is_big_endian else "<u2")
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    return rows[: frame.height, : frame.width]


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """RGB [H, W, 3] of `frame`: uint8 for sources of 8 bits, full-scale uint16 (0..65535) for deeper ones.

    Matrix and range are the frame's own; an unspecified matrix is BT.709 from 720 lines or 1280 columns on, else
    BT.601. Raises DeclinedVideoError for matrices that are not linear (constant luminance, ICtCp).
    """
    deep = frame.format.components[0].bits > 8
    converted = _reformat(
        frame, "rgb48le" if deep else "rgb24", "to_rgb", src_colorspace=_matrix(frame), dst_color_range=_FULL
    )
    return converted.to_ndarray()


def from_rgb(rgb: np.ndarray, like: VideoFrame) -> VideoFrame:
    """The inverse of `to_rgb`: RGB [H, W, 3] (uint8, or uint16 full scale) in the pixel format, matrix and range of
    `like`, with its pts, time base, colour tags and, where it has one, its alpha plane."""
    if rgb.shape != (like.height, like.width, 3):
        raise ValueError(f"RGB of shape {rgb.shape} does not fit a frame of {like.width}x{like.height}")
    if rgb.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"RGB must be uint8 or uint16, not {rgb.dtype}")
    source = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24" if rgb.dtype == np.uint8 else "rgb48le")
    source.color_range = _FULL
    frame = _reformat(
        source, like.format.name, "from_rgb", dst_colorspace=_matrix(like), dst_color_range=_frame_range(like)
    )
    if len(like.planes) == 4:
        frame.planes[3].update(bytes(like.planes[3]))
    copy_tags(like, frame)
    return frame


def copy_tags(source: VideoFrame, target: VideoFrame) -> None:
    """Gives `target` the time and the colour tags of `source`."""
    target.pts = source.pts
    if source.time_base is not None:
        target.time_base = source.time_base
    target.colorspace, target.color_range = source.colorspace, source.color_range
    target.color_primaries, target.color_trc = source.color_primaries, source.color_trc


def is_full_range(frame: VideoFrame) -> bool:
    """Whether black is 0: tagged so, or in one of FFmpeg's old pixel formats that say so (yuvj420p, …)."""
    return _frame_range(frame) == _FULL


def _frame_range(frame: VideoFrame) -> int:
    if frame.format.name.startswith("yuvj") or frame.color_range == _FULL or frame.format.is_rgb:
        return _FULL
    return _LIMITED


def _matrix(frame: VideoFrame) -> Colorspace | None:
    if frame.format.is_rgb or frame.colorspace == _RGB_MATRIX:
        return None
    if frame.colorspace == _UNSPECIFIED:
        return Colorspace.ITU709 if frame.height >= 720 or frame.width >= 1280 else Colorspace.ITU601
    try:
        return _MATRICES[int(frame.colorspace)]
    except KeyError:
        raise DeclinedVideoError(
            f"frames in colour matrix number {int(frame.colorspace)} cannot be turned to RGB exactly; convert the "
            "video to BT.601, BT.709 or BT.2020 (non-constant luminance) first"
        ) from None


def _has_luma_plane(frame: VideoFrame) -> bool:
    pixel_format = frame.format
    if pixel_format.is_rgb or pixel_format.has_palette or pixel_format.name.startswith("gbr"):
        return False
    return len(pixel_format.components) == 1 or (pixel_format.is_planar and frame.planes[0].width == frame.width)


def _reformat(
    frame: VideoFrame,
    pixel_format: str,
    purpose: str,
    src_colorspace: Colorspace | None = None,
    dst_colorspace: Colorspace | None = None,
    dst_color_range: int | None = None,
) -> VideoFrame:
    reformatter = getattr(_local, purpose, None)
    if reformatter is None:
        reformatter = VideoReformatter()
        setattr(_local, purpose, reformatter)
    return reformatter.reformat(
        frame,
        format=pixel_format,
        src_colorspace=src_colorspace,
        dst_colorspace=dst_colorspace,
        src_color_range=_frame_range(frame),
        dst_color_range=_frame_range(frame) if dst_color_range is None else dst_color_range,
        interpolation=_SCALER,
        threads=1,
    )
