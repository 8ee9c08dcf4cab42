"""Between a decoder's frames and arrays: the luma plane as it is, and RGB by the video's own matrix and range and back.

It does no colour management: primaries and transfer curve pass through as tags, RGB stays in the video's own gamma.
FFmpeg's scaler is not used for it: deeper than 8 bits it is up to 15 code values off.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.bands import Band, bands
from deblur_core.video.chroma import LEFT, Siting, downsampled, siting, upsampled
from deblur_core.video.pixel_format import (
    ThreadsReformatter,
    chroma_steps,
    copy_tags,
    is_full_range,
    samples,
    to_layout,
    to_plain,
)

_SCALER = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_RGB_MATRIX = 0  # AVCOL_SPC_RGB
# Weights of red and blue in luma, by FFmpeg's number (which is that of ITU-T H.273, table 4).
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC, 47 CFR 73.682
    5: (0.299, 0.114),  # BT.601
    6: (0.299, 0.114),  # BT.601
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
_BT709, _BT601 = 1, 6
_LIMITED_BLACK, _LIMITED_LUMA, _LIMITED_CHROMA = 16, 219, 224  # at 8 bits
_RGB_PLANES = (2, 0, 1)  # of gbrp
_CHROMA = (1, 2)
_MOST_BITS = 16
_own = ThreadsReformatter()

_Grid = tuple[tuple[int, int], Siting]
"""Luma rows and columns for one chroma sample, and where it lies among them"""


@dataclass(frozen=True)
class _Coding:
    """How the planes of a frame code colour, in their own code values."""

    red: float
    blue: float
    """weights in luma; green has the rest"""
    black: int
    luma_span: int
    """from black to white"""
    neutral: int
    chroma_span: int
    """from -1/2 to 1/2"""

    @property
    def green(self) -> float:
        return 1 - self.red - self.blue


def luma(frame: VideoFrame) -> np.ndarray:
    """The luma of `frame`: [H, W] uint8, or uint16 holding the source's own bits where it is deeper than 8.

    For YUV and gray this is the decoder's plane (a read-only view where it is planar), in the video's own range. RGB is
    converted.
    """
    plain = to_plain(frame)
    if _is_yuv(plain):
        return samples(plain, 0)
    if not _is_deep(frame):
        return samples(_scaled(frame, "gray"), 0)
    bits = min(frame.format.components[0].bits, _MOST_BITS)
    return np.right_shift(samples(_scaled(frame, "gray16le"), 0), _MOST_BITS - bits)


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """RGB [H, W, 3] of `frame`: uint8 for sources of 8 bits, full-scale uint16 (0..65535) for deeper ones.

    Matrix, range and place of the chroma samples are the frame's own (ITU-R BT.601, BT.709, BT.2020; SMPTE 240M; FCC);
    an unspecified matrix is BT.709 from 720 lines or 1280 columns on, else BT.601. Values beyond black and white are
    clipped. Raises DeclinedVideoError for matrices that are not linear (constant luminance, ICtCp).
    """
    plain = to_plain(frame)
    white, coded = (65535, cv2.CV_16U) if _is_deep(plain) else (255, cv2.CV_8U)
    if _is_rgb_planes(plain):
        scale = white / (2 ** plain.format.components[0].bits - 1)
        return cv2.merge([_stretched(samples(plain, plane), scale, 0, coded) for plane in _RGB_PLANES])
    if not _is_yuv(plain):
        return _scaled(frame, "rgb48le" if coded == cv2.CV_16U else "rgb24").to_ndarray()
    rgb = np.empty((plain.height, plain.width, 3), np.uint16 if coded == cv2.CV_16U else np.uint8)
    coding, grid = _coding(plain), _chroma_grid(plain)
    for band in bands(plain.height, plain.width, grid[0][0]):
        rgb[band.rows] = _shown(plain, band, coding, grid, white, coded)
    return rgb


def from_rgb(rgb: np.ndarray, like: VideoFrame, before: np.ndarray | None = None) -> VideoFrame:
    """The inverse of `to_rgb`: RGB [H, W, 3] (uint8, or uint16 full scale) in the pixel format, matrix and range of
    `like`, with its pts, time base, colour tags and, where it has one, its alpha plane.

    before: what `to_rgb` gave of `like`, of the dtype of `rgb`. Then only the change from it is converted and added to
    the samples of `like`: where nothing changed every sample stays, also those beyond black and white, and chroma keeps
    the detail that the way to the luma's grid and back would cost. Raises DeclinedVideoError for a pixel format that
    cannot be made from RGB.
    """
    if rgb.shape != (like.height, like.width, 3):
        raise ValueError(f"RGB of shape {rgb.shape} does not fit a frame of {like.width}x{like.height}")
    if rgb.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"RGB must be uint8 or uint16, not {rgb.dtype}")
    if before is not None and (before.shape, before.dtype) != (rgb.shape, rgb.dtype):
        raise ValueError(f"RGB was {before.dtype} {before.shape} before and is {rgb.dtype} {rgb.shape} now")
    plain = to_plain(like)
    if not _is_rgb_planes(plain) and not _is_yuv(plain):
        raise DeclinedVideoError(f"frames in {like.format.name} cannot be made from RGB; convert the video first")
    white = 255 if rgb.dtype == np.uint8 else 65535
    result = VideoFrame(like.width, like.height, plain.format.name)
    grid = _chroma_grid(plain)
    for band in bands(plain.height, plain.width, grid[0][0]):
        near = rgb[band.near]
        colour = near.astype(np.float32) if before is None else cv2.subtract(near, before[band.near], dtype=cv2.CV_32F)
        for plane, (value, offset) in _coded(colour, plain, grid, white).items():
            rows, place = band.of(value, band.step if plane in _CHROMA else 1)
            base = offset if before is None else samples(plain, plane)[place]
            samples(result, plane)[place] = _rounded(rows, base, plain)
    if len(plain.planes) == 4:
        samples(result, 3)[:] = samples(plain, 3)
    result = to_layout(result, like.format.name)
    copy_tags(like, result)
    return result


def _shown(plain: VideoFrame, band: Band, coding: _Coding, grid: _Grid, white: int, coded: int) -> np.ndarray:
    """RGB of the rows of a band of a YUV or gray frame."""
    y, scale = samples(plain, 0)[band.rows].astype(np.float32), white / coding.luma_span
    black = -coding.black * scale
    if len(plain.planes) < 3:
        return cv2.merge([_stretched(y, scale, black, coded)] * 3)
    steps, at = grid
    cb, cr = (upsampled(samples(plain, plane)[band.chroma], steps, at)[band.shown, : plain.width] for plane in _CHROMA)
    weight = white / coding.chroma_span
    to_red, to_blue = (2 - 2 * coding.red) * weight, (2 - 2 * coding.blue) * weight
    cr_to_green, cb_to_green = -to_red * coding.red / coding.green, -to_blue * coding.blue / coding.green
    neutral = -coding.neutral
    green = cv2.addWeighted(cb, cb_to_green, cr, cr_to_green, neutral * (cb_to_green + cr_to_green))
    return cv2.merge(
        [
            cv2.addWeighted(y, scale, cr, to_red, black + neutral * to_red, dtype=coded),
            cv2.addWeighted(y, scale, green, 1, black, dtype=coded),
            cv2.addWeighted(y, scale, cb, to_blue, black + neutral * to_blue, dtype=coded),
        ]
    )


def _coded(colour: np.ndarray, like: VideoFrame, grid: _Grid, white: int) -> dict[int, tuple[np.ndarray, int]]:
    """float32 [h, W, 3] RGB, or a change of it, as code values of each plane of `like`, and what black adds to them."""
    if _is_rgb_planes(like):
        scale = np.float32((2 ** like.format.components[0].bits - 1) / white)
        return {plane: (colour[..., channel] * scale, 0) for channel, plane in enumerate(_RGB_PLANES)}
    coding = _coding(like)
    weights = np.array([coding.red, coding.green, coding.blue])
    rows = [weights * coding.luma_span]
    for channel, weight in ((2, coding.blue), (0, coding.red)):
        rows.append((np.eye(3)[channel] - weights) / (2 - 2 * weight) * coding.chroma_span)
    if len(like.planes) < 3:
        return {0: (cv2.transform(colour, rows[0][None] / white), coding.black)}
    y, cb, cr = cv2.split(cv2.transform(colour, np.stack(rows) / white))
    return {
        0: (y, coding.black),
        1: (downsampled(cb, *grid), coding.neutral),
        2: (downsampled(cr, *grid), coding.neutral),
    }


def _rounded(value: np.ndarray, base: np.ndarray | int, like: VideoFrame) -> np.ndarray:
    """float32 [h, w] added to samples or a constant, as samples of `like`: uint8 or uint16."""
    coded = cv2.CV_16U if _is_deep(like) else cv2.CV_8U
    if isinstance(base, int):
        total = cv2.addWeighted(value, 1, value, 0, base, dtype=coded)
    else:
        total = cv2.add(value, base, dtype=coded)
    bits = like.format.components[0].bits
    return np.minimum(total, 2**bits - 1, out=total) if bits not in (8, 16) else total


def _coding(frame: VideoFrame) -> _Coding:
    bits = frame.format.components[0].bits
    red, blue = _luma_weights(frame)
    neutral, step = 2 ** (bits - 1), 2 ** (bits - 8)
    if is_full_range(frame):
        return _Coding(red, blue, 0, 2**bits - 1, neutral, 2**bits - 1)
    return _Coding(red, blue, _LIMITED_BLACK * step, _LIMITED_LUMA * step, neutral, _LIMITED_CHROMA * step)


def _luma_weights(frame: VideoFrame) -> tuple[float, float]:
    matrix = int(frame.colorspace)
    if matrix in (_UNSPECIFIED, _RGB_MATRIX):
        matrix = _BT709 if frame.height >= 720 or frame.width >= 1280 else _BT601
    try:
        return _LUMA_WEIGHTS[matrix]
    except KeyError:
        raise DeclinedVideoError(
            f"frames in colour matrix number {matrix} cannot be turned to RGB exactly; convert the "
            "video to BT.601, BT.709 or BT.2020 (non-constant luminance) first"
        ) from None


def _chroma_grid(frame: VideoFrame) -> _Grid:
    steps = chroma_steps(frame.format)
    return steps, LEFT if steps == (1, 1) else siting(frame)


def _is_deep(frame: VideoFrame) -> bool:
    return frame.format.components[0].bits > 8


def _is_rgb_planes(plain: VideoFrame) -> bool:
    return plain.format.name.startswith("gbr") and plain.format.components[0].bits <= _MOST_BITS


def _is_yuv(plain: VideoFrame) -> bool:
    """Whether the planes are luma, or luma and chroma, of whole samples."""
    name = plain.format.name
    if name.startswith("yuv"):
        return len(plain.planes) >= 3
    return name.startswith("gray") and len(plain.format.components) == 1 and not name.startswith("grayf")


def _stretched(plane: np.ndarray, scale: float, offset: float, coded: int) -> np.ndarray:
    if scale == 1 and offset == 0:
        return plane
    plane = plane.astype(np.float32)
    return cv2.addWeighted(plane, scale, plane, 0, offset, dtype=coded)


def _scaled(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    """By FFmpeg's scaler, which knows every layout; full range."""
    return _own.reformatter.reformat(
        frame,
        format=pixel_format,
        src_color_range=_FULL if is_full_range(frame) else _LIMITED,
        dst_color_range=_FULL,
        interpolation=_SCALER,
        threads=1,
    )
