"""Blur of a lens out of focus: every point becomes a disc of light. It looks soft like motion blur, but is none.

One radius for the whole frame: it knows no depth, and the disc is that of a round, open aperture.
"""

import numpy as np

from deblur_core.synthesis import motion

DEFOCUS = "defocus"
"""The label of such frames, apart from the kinds of motion blur."""


def disc_kernel(radius_pixels: float) -> np.ndarray:
    """A disc of constant brightness: float32 [K, K], K odd, sums to 1; pixels that the rim crosses count in part.

    Raises ValueError unless the radius is greater than 0.
    """
    if not radius_pixels > 0.0:
        raise ValueError(f"disc_kernel: radius must be greater than 0, not {radius_pixels}")
    reach = int(np.ceil(radius_pixels + 0.5))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernel = np.clip(np.float32(radius_pixels + 0.5) - np.sqrt(x * x + y * y), 0.0, 1.0)
    return (kernel / kernel.sum()).astype(np.float32)


def defocus(linear: np.ndarray, radius_pixels: float) -> np.ndarray:
    """Linear light float32 [H, W, 3] seen out of focus, same shape; what shines smears as bright discs."""
    return motion.convolve(linear, disc_kernel(radius_pixels))
