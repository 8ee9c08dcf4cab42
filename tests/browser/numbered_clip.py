"""A grey H.264 clip of eight GOPs, one of them shaken, in which every picture carries its own number.

The number can be read off whatever a player shows, however it converts colour.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from deblur_core.synthesis import motion
from tests.media import encode_frames, moving_texture

SIZE = (320, 192)
GOP, GOPS, SHAKEN_GOP = 12, 8, 3
FRAMES = GOP * GOPS
RATE = 24
_SQUARE, _BITS = 16, 7
_DARK, _LIGHT = 70.0, 186.0


def numbered_clip(path: Path) -> Path:
    """Writes the clip; all frames of `SHAKEN_GOP` are blurred by a path of 9 px. Returns `path`."""
    return encode_frames(path, _pictures(), gop=GOP, rate=RATE)


def read_number(luma: np.ndarray) -> int | None:
    """The number that a picture carries; None where its squares do not hold one. luma: [H, W] of 0 … 255 or float."""
    side = _SQUARE * luma.shape[1] // SIZE[0]
    means = luma[:side, : 2 * _BITS * side].reshape(side, 2 * _BITS, side).mean(axis=(0, 2))
    ones = means > (_DARK + _LIGHT) / 2
    number, complement = ones[:_BITS], ones[_BITS:]
    if (number == complement).any():
        return None
    return int(number @ (1 << np.arange(_BITS)))


def _pictures() -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for number, picture in enumerate(moving_texture(FRAMES, SIZE)):
        grey = picture.mean(axis=2, keepdims=True).astype(np.float32)
        if number // GOP == SHAKEN_GOP:
            kernel = motion.path_kernel(motion.shake_path(random, 9.0))
            grey = motion.convolve(grey[..., 0], kernel)[..., None]
        grey[:_SQUARE, : 2 * _BITS * _SQUARE, 0] = _squares(number)
        yield grey.clip(0, 255).astype(np.uint8).repeat(3, axis=2)


def _squares(number: int) -> np.ndarray:
    """The bits of a number and their complements: float32 [16, 224]. Their edges are soft, so that they do not decide
    whether a picture is sharp."""
    bits = (number >> np.arange(_BITS)) & 1
    levels = np.where(np.concatenate([bits, 1 - bits]), _LIGHT, _DARK).astype(np.float32)
    row = cv2.GaussianBlur(levels.repeat(_SQUARE)[None], (0, 0), _SQUARE / 5)
    return row.repeat(_SQUARE, axis=0)
