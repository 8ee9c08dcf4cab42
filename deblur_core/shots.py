"""Where one shot ends and the next begins, from small thumbnails of consecutive frames. Knows no video file."""

import cv2
import numpy as np

_SIZE = (32, 18)


def thumbnail(luma: np.ndarray) -> np.ndarray:
    """Luma plane (uint8 or uint16 full scale) [H, W] → float32 [18, 32], 8-bit grey levels."""
    small = cv2.resize(luma, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small / np.float32(257.0) if luma.dtype == np.uint16 else small


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two consecutive thumbnails belong to different shots: they differ much and do not even correlate.

    Shake and pans move the picture but keep it correlated at this size; a flash changes its level, not its structure.
    """
    if float(np.mean(np.abs(before - after))) < 12.0:
        return False
    first, second = before - before.mean(), after - after.mean()
    scale = float(np.sqrt(np.sum(first * first) * np.sum(second * second)))
    return scale < 1e-6 or float(np.sum(first * second)) / scale < 0.4
