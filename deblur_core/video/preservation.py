"""What a preservation master is: FFV1 version 3 (RFC 9043) in Matroska, every frame on its own, every slice with a CRC.

It knows names and encoder options; it does not encode.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from pathlib import PurePosixPath

import av

MASTER_CODEC = "ffv1"
"""The name of it among the codecs that can be asked for"""

_SUFFIX = ".mkv"
_SLICE_PIXELS = 90_000
_MOST_SLICES = 128
LEAST_SIDE = 16
"""A picture with a smaller side is one slice."""
# Grids of rows × columns that FFmpeg knows, by their number of slices.
_SLICES = sorted({rows * columns for rows in range(2, 12) for columns in range(rows, 2 * rows + 1)})


def master_name(relative_path: str) -> str:
    """The name of the master of a video: its own in Matroska, else with .mkv added (a/clip.mov → a/clip.mov.mkv)."""
    return relative_path if PurePosixPath(relative_path).suffix.lower() == _SUFFIX else relative_path + _SUFFIX


@lru_cache(maxsize=64)
def slice_count(width: int, height: int, pixel_format: str) -> int:
    """Slices of a picture, each of at most about 300 × 300 pixels: 6 for SD, 24 for 1080p, 96 for 4K. A damaged byte
    then costs one of them. Of odd sizes FFmpeg cuts only into grids that part chroma cleanly: the next that does.
    """
    if min(width, height) < LEAST_SIDE:
        return 1
    wanted = min(-(-width * height // _SLICE_PIXELS), _MOST_SLICES)
    possible = (count for count in _SLICES if count >= wanted and _cuts(width, height, pixel_format, count))
    return next(possible, 1)


def ffv1_options(width: int, height: int, pixel_format: str) -> dict[str, str]:
    """FFmpeg's options. The range coder makes files a twelfth smaller than Golomb-Rice codes; the larger context model
    makes them larger where each frame starts anew (docs/preservation.md)."""
    return {
        "level": "3",
        "g": "1",
        "slicecrc": "1",
        "slices": str(slice_count(width, height, pixel_format)),
        "coder": "range_def",
        "context": "0",
    }


def _cuts(width: int, height: int, pixel_format: str, count: int) -> bool:
    context = av.CodecContext.create("ffv1", "w")
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base = Fraction(1, 25)
    context.options = {"level": "3", "slices": str(count)}
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True
