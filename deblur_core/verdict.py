"""Is a restored frame better than the blurred one? Decided without truth, so that a restorer can never do harm unseen.

Three things must hold. It is sharper: gradient energy went up. It is still the same picture: blurred again by the
kernels that explain the blurred frame best, tile by tile, it gives that frame back (the consistency behind
Reblur2Deblur, Chen et al. 2018, Eq. 2). And what was changed is blur: what a restorer changes in a frame that was sharp
already no blur explains. Knows no network and no video.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_TILE = 64  # at half size: 128 px of the frame
_KERNEL_RADIUS = 8  # at half size: blur of up to 32 px of the frame


@dataclass(frozen=True)
class VerdictLimits:
    """sharpness_gain: the ratio of sharpness after to before must exceed it; reblur_error: most energy of the blurred
    frame that the restored one, blurred again, may fail to explain (share of its variance, 0 to 1); unexplained: most
    energy of the change that no blur may explain (share of it, 0 to 1; 1: whatever was changed)."""

    sharpness_gain: float = 1.0
    reblur_error: float = 0.10
    unexplained: float = 0.85


@dataclass(frozen=True)
class Verdict:
    """Sharpness on the scale of `sharpness`; reblur_error, unexplained: as `reblur` gives them; accepted: the restored
    frame is the better one."""

    sharpness_before: float
    sharpness_after: float
    reblur_error: float
    unexplained: float
    accepted: bool


def sharpness(luma: np.ndarray) -> float:
    """No-reference sharpness of a luma plane (uint8 or uint16 full scale): mean gradient energy, 8-bit grey levels².

    Tenengrad (Sobel), which noise and compression disturb less than the variance of the Laplacian.
    """
    gray = _as_float(luma)
    dx = cv2.Sobel(gray, cv2.CV_32F, 1, 0, scale=0.125)
    dy = cv2.Sobel(gray, cv2.CV_32F, 0, 1, scale=0.125)
    return float(np.mean(dx * dx) + np.mean(dy * dy))


def reblur(restored_luma: np.ndarray, blurred_luma: np.ndarray) -> tuple[float, float]:
    """Two shares, in [0, 1]: of the blurred frame's variance, what no local blur of the restored frame explains; and of
    the energy of their difference, what no local blur explains better than none does. 0 is perfect.

    For each tile the best kernel is found in closed form (regularised least squares in the Fourier domain, cut to
    17 × 17 at half size); [H, W] both, of any size from 34 px up; smaller frames give 0 and 0.
    """
    restored, blurred = _half(restored_luma), _half(blurred_luma)
    tile = min(_TILE, *restored.shape)
    if tile < 2 * _KERNEL_RADIUS + 1:
        return 0.0, 0.0
    window = np.outer(np.hanning(tile + 2)[1:-1], np.hanning(tile + 2)[1:-1]).astype(np.float32)
    sharp, soft = _tiles(restored, tile, window), _tiles(blurred, tile, window)
    sharp_f, soft_f = np.fft.rfft2(sharp), np.fft.rfft2(soft)
    power = np.square(np.abs(sharp_f))
    floor = 1e-3 * power.mean(axis=(1, 2), keepdims=True) + 1e-3
    kernel = np.fft.irfft2(soft_f * np.conj(sharp_f) / (power + floor), s=(tile, tile))
    reach = np.r_[0 : _KERNEL_RADIUS + 1, tile - _KERNEL_RADIUS : tile]
    support = np.zeros((tile, tile), bool)
    support[np.ix_(reach, reach)] = True
    again = np.fft.irfft2(sharp_f * np.fft.rfft2(np.where(support, kernel, 0.0)), s=(tile, tile))
    left, change = (np.square(soft - other).sum(axis=(1, 2)) for other in (again, sharp))
    total, changed = np.square(soft).sum(), change.sum()
    # Tile by tile, since what moves may be a small part of the picture.
    unexplained = float(np.minimum(left, change).sum() / changed) if changed > 0 else 0.0
    return float(left.sum() / total) if total > 0 else 0.0, unexplained


def judge(restored_luma: np.ndarray, blurred_luma: np.ndarray, limits: VerdictLimits | None = None) -> Verdict:
    """Compares a restored luma plane with the blurred one, both [H, W] of one dtype."""
    limits = limits or VerdictLimits()
    before, after = sharpness(blurred_luma), sharpness(restored_luma)
    error, unexplained = reblur(restored_luma, blurred_luma)
    is_same = error <= limits.reblur_error and unexplained <= limits.unexplained
    return Verdict(before, after, error, unexplained, after > before * limits.sharpness_gain and is_same)


def _as_float(luma: np.ndarray) -> np.ndarray:
    return luma.astype(np.float32) / np.float32(257.0) if luma.dtype == np.uint16 else luma.astype(np.float32)


def _half(luma: np.ndarray) -> np.ndarray:
    gray = _as_float(luma)
    return cv2.resize(gray, (gray.shape[1] // 2, gray.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _tiles(gray: np.ndarray, tile: int, window: np.ndarray) -> np.ndarray:
    """float32 [N, tile, tile], each with its (windowed) mean removed; what is left over at the edges is not judged."""
    rows, columns = gray.shape[0] // tile, gray.shape[1] // tile
    cut = gray[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile).swapaxes(1, 2)
    flat = cut.reshape(-1, tile, tile)
    mean = (flat * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    return (flat - mean) * window
