"""Chroma between its own grid and the luma's: where its samples lie, and interpolation there and back.

Both directions use the cubic of Catmull and Rom (Keys 1981, a = -1/2), the way back with its transpose, so that chroma
neither moves nor loses its mean. It knows no matrix and no range.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from deblur_core.video.pixel_format import chroma_steps, plain_name

_SIDE = 32
_MIDDLE = _SIDE // 4
_RAMP = 8
_KERNEL_REACH = 2
ROWS_NEAR = _KERNEL_REACH + 1
"""Chroma rows above and below that interpolation looks at, in both directions"""

_SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
# The scaler refuses matrices that it does not know, though none is needed here.
_ANY_COLOUR = {
    "src_colorspace": Colorspace.ITU601,
    "dst_colorspace": Colorspace.ITU601,
    "src_color_range": ColorRange.MPEG,
    "dst_color_range": ColorRange.MPEG,
}
# Decoders of these always say where chroma lies; those of others leave it open, which the scaler takes for the centre.
_SAY_WHERE = {"h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4", "h263", "mjpeg"}
# Reformatters keep their scaler between calls; one belongs to one thread.
_local = threading.local()


@dataclass(frozen=True)
class Siting:
    """Where the first chroma sample lies within the luma samples that it stands for, as a share of the way from the
    first of them to the last: 0 on the first, 1/2 between. 4:2:0 of MPEG-2 and H.264 has (1/2, 0)."""

    down: float
    right: float


LEFT, CENTRE, TOP_LEFT = Siting(0.5, 0.0), Siting(0.5, 0.5), Siting(0.0, 0.0)
# AVChromaLocation
_LOCATIONS = {
    LEFT: 1,
    CENTRE: 2,
    TOP_LEFT: 3,
    Siting(0.0, 0.5): 4,
    Siting(1.0, 0.0): 5,
    Siting(1.0, 0.5): 6,
}
LOCATION_NAMES = {1: "left", 2: "center", 3: "topleft", 4: "top", 5: "bottomleft", 6: "bottom"}
"""FFmpeg's words for its numbers"""


def chroma_location(frame: VideoFrame, codec: str) -> int:
    """FFmpeg's number (AVChromaLocation) of where the chroma of `frame` lies, decoded from `codec`; 0 where that is not
    said, or chroma has no grid of its own."""
    if chroma_steps(frame.format) == (1, 1) or not plain_name(frame.format.name).startswith("yuv"):
        return 0
    at = siting(frame)
    return 0 if at == CENTRE and codec not in _SAY_WHERE else _LOCATIONS[at]


def siting(frame: VideoFrame) -> Siting:
    """Where the chroma samples of `frame` lie, as its decoder says; the centre where it says nothing.

    PyAV does not give a frame's chroma location, but FFmpeg's scaler obeys it: two ramps in a small frame that inherits
    the properties of this one come out shifted by it.
    """
    if not hasattr(_local, "shrink"):
        _local.shrink, _local.spread = VideoReformatter(), VideoReformatter()
    # The frame itself would come back, and be overwritten, if it already had the size that is asked for.
    side = 2 * _SIDE if frame.width == _SIDE else _SIDE
    small = _local.shrink.reformat(
        frame, width=side, height=side, format="yuv420p", interpolation=Interpolation.POINT, threads=1, **_ANY_COLOUR
    )
    ramp = np.broadcast_to((_RAMP * (np.arange(side // 2) + 4)).clip(0, 255), (side // 2, side // 2))
    for plane, values in zip(small.planes, (None, ramp, ramp.T), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = 128 if values is None else values
    spread = _local.spread.reformat(small, format="yuv444p", interpolation=_SCALING, threads=1, **_ANY_COLOUR)
    right, down = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(side, plane.line_size)[2 * _MIDDLE, 2 * _MIDDLE]
        for plane in spread.planes[1:]
    )
    return Siting(*(_share(int(value)) for value in (down, right)))


def _share(value: int) -> float:
    """From what the ramps show at a luma sample that lies on a chroma sample if the share is 0."""
    late = (_RAMP * (_MIDDLE + 4) - value) / _RAMP
    return min((0.0, 0.5, 1.0), key=lambda share: abs(late - share / 2))


def upsampled(plane: np.ndarray, steps: tuple[int, int], at: Siting) -> np.ndarray:
    """Chroma [h, w] of any depth → float32 [h × down, w × right] on the luma's grid. steps: luma samples (down, right)
    for one."""
    if steps == (1, 1):
        return plane.astype(np.float32)
    height, width = plane.shape
    spread = np.empty((height * steps[0], width * steps[1]), np.float32)
    plane = plane.astype(np.float32)
    for row in range(steps[0]):
        vertical = _spreading(steps[0], at.down, row)
        for column in range(steps[1]):
            horizontal = _spreading(steps[1], at.right, column)
            spread[row :: steps[0], column :: steps[1]] = cv2.sepFilter2D(
                plane, cv2.CV_32F, horizontal, vertical, borderType=cv2.BORDER_REPLICATE
            )
    return spread


def downsampled(plane: np.ndarray, steps: tuple[int, int], at: Siting) -> np.ndarray:
    """The way back: float32 [H, W] on the luma's grid → float32 [h, w] where the chroma samples lie."""
    if steps[0] > 1:
        vertical = _gathering(steps[0], at.down)[:, None]
        rows = cv2.filter2D(plane, cv2.CV_32F, vertical, borderType=cv2.BORDER_REPLICATE)
        plane = np.ascontiguousarray(rows[:: steps[0]])
    if steps[1] > 1:
        horizontal = _gathering(steps[1], at.right)[None]
        columns = cv2.filter2D(plane, cv2.CV_32F, horizontal, borderType=cv2.BORDER_REPLICATE)
        plane = np.ascontiguousarray(columns[:, :: steps[1]])
    return plane


@lru_cache(maxsize=32)
def _spreading(step: int, share: float, phase: int) -> np.ndarray:
    """Weights of the chroma samples around a luma sample that is number `phase` of its group."""
    place = (phase - share * (step - 1)) / step
    return _cubic(place - np.arange(-_KERNEL_REACH, _KERNEL_REACH + 1))


@lru_cache(maxsize=32)
def _gathering(step: int, share: float) -> np.ndarray:
    """Weights of the luma samples around the first of a chroma sample's group."""
    reach = ROWS_NEAR * step
    return _cubic((np.arange(-reach, reach + 1) - share * (step - 1)) / step) / step


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys (1981), equation 4 with a = -1/2."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
