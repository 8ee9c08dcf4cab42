"""How close a frame is to its truth: PSNR and SSIM as the field reports them. Knows no video and no model."""

import cv2
import numpy as np


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels, no crop.

    uint8 (peak 255), uint16 (65535) or float (1.0), both of one shape and dtype; identical images give infinity.
    Raises ValueError when they differ in shape or dtype.
    """
    if image.shape != truth.shape or image.dtype != truth.dtype:
        raise ValueError(f"psnr: {image.shape} {image.dtype} against {truth.shape} {truth.dtype}")
    peak = float(np.iinfo(image.dtype).max) if np.issubdtype(image.dtype, np.integer) else 1.0
    error = float(np.mean(np.square(image.astype(np.float64) - truth.astype(np.float64))))
    return float("inf") if error == 0.0 else 10.0 * float(np.log10(peak * peak / error))


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of uint8 RGB [H, W, 3] (Wang et al. 2004): 11 × 11 Gaussian, σ 1.5, mean over channels.

    Computed on each channel at full size without padding (valid windows only), data range 255, as in Wang's code.
    """
    if image.shape != truth.shape:
        raise ValueError(f"ssim: {image.shape} against {truth.shape}")
    first, second = image.astype(np.float64), truth.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)[5:-5, 5:-5]

    mean1, mean2 = blur(first), blur(second)
    variance1 = blur(first * first) - mean1 * mean1
    variance2 = blur(second * second) - mean2 * mean2
    covariance = blur(first * second) - mean1 * mean2
    numerator = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    denominator = (mean1 * mean1 + mean2 * mean2 + c1) * (variance1 + variance2 + c2)
    return float(np.mean(numerator / denominator))
