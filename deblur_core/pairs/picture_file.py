"""Pictures of a set of pairs as 8-bit RGB. Knows no set.

A picture that cannot be read ends an evaluation with one line that names it, before anything is restored where its
header already tells.
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from deblur_core.errors import UsageError
from deblur_core.pairs.frame_pairs import PairSequence

LEAST_SIDE = 11
"""Pixels: SSIM's window."""
_PNG = b"\x89PNG\r\n\x1a\n"


def read_picture(path: Path) -> np.ndarray:
    """uint8 RGB [H, W, 3]; 16 bits become 8, grey becomes RGB, alpha is dropped, pixels lie as they are stored.

    Raises UsageError when the file is missing, damaged, or no picture.
    """
    return _decode(path, _bytes_of(path))


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width, pixels; of a PNG from its header alone. Raises UsageError as `read_picture` does."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except OSError as cause:
        raise UsageError(f"the picture {path} cannot be read ({cause.strerror}): check it") from cause
    if head.startswith(_PNG + b"\0\0\0\rIHDR") and len(head) == 24:
        width, height = struct.unpack(">II", head[16:])
        return height, width
    height, width = read_picture(path).shape[:2]
    return height, width


def check_sizes(sequences: Iterable[PairSequence]) -> None:
    """Raises UsageError naming the first pair whose two pictures differ in size, the first frame that differs from
    those before it in a sequence, or the first picture that is too small to be scored."""
    for sequence in sequences:
        first: tuple[int, int] | None = None
        for pair in sequence.pairs:
            size, truth = picture_size(pair.blurred), picture_size(pair.sharp)
            if size != truth:
                raise UsageError(
                    f"a pair differs in size: {pair.blurred} is {_in_words(size)}, {pair.sharp} is {_in_words(truth)}"
                )
            if min(size) < LEAST_SIDE:
                raise UsageError(f"{pair.blurred} is {_in_words(size)}: SSIM needs {LEAST_SIDE} pixels a side or more")
            first = first or size
            if size != first and not sequence.photographs:
                raise UsageError(
                    f"{pair.blurred} is {_in_words(size)}, the frames before it are {_in_words(first)}: they are no "
                    "video; use --single if they are photographs"
                )


def _in_words(size: tuple[int, int]) -> str:
    return f"{size[1]} × {size[0]}"


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise UsageError(f"the picture {path} cannot be read ({cause.strerror}): check it") from cause


def _decode(path: Path, data: bytes) -> np.ndarray:
    # A damaged PNG is found here, for libpng would write lines of its own to stderr.
    damaged = not data or (data.startswith(_PNG) and not _chunks_are_sound(data))
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    picture = None if damaged else cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise UsageError(f"the picture {path} cannot be read (it is damaged or no picture): get it again")
    return np.ascontiguousarray(picture[..., ::-1])


def _chunks_are_sound(data: bytes) -> bool:
    """Whether every chunk of a PNG is whole, and the last one is its end."""
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False
