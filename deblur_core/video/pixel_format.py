"""FFmpeg's old full-range pixel formats (yuvj420p, …) told in the new way: the plain format and a full-range tag.

It knows names and planes, not colours: samples are copied, never converted.
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.video.colour import copy_tags, is_full_range

_FULL = 2  # AVCOL_RANGE_JPEG


def plain_name(pixel_format: str) -> str:
    """yuvj420p → yuv420p; other names as they are."""
    return "yuv" + pixel_format[4:] if pixel_format.startswith("yuvj") else pixel_format


def to_plain(frame: VideoFrame) -> VideoFrame:
    """The same samples, time and tags under the plain pixel format; the frame itself if it has one already."""
    plain = plain_name(frame.format.name)
    if plain == frame.format.name:
        return frame
    copied = VideoFrame(frame.width, frame.height, plain)
    for source, target in zip(frame.planes, copied.planes, strict=True):
        rows = np.frombuffer(memoryview(source), np.uint8).reshape(source.height, source.line_size)
        into = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, target.line_size)
        into[:, : target.width] = rows[:, : target.width]
    copy_tags(frame, copied)
    if is_full_range(frame):
        copied.color_range = _FULL
    return copied
