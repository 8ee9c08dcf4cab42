"""Clips that are out of focus in time or in depth, without any motion blur: a focus pull, a shallow depth of field.

What a selector of motion blur must leave alone. Knows no sensor and no encoder.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from deblur_core.synthesis import exposure
from deblur_core.synthesis.defocus import defocus

_LEAST_RADIUS = 0.5
_LINEAR = exposure.to_linear(np.arange(256, dtype=np.float32) / 255.0)


def out_of_focus(
    frames: Sequence[np.ndarray], radii_pixels: Sequence[float] | np.ndarray, in_focus: np.ndarray | None = None
) -> list[np.ndarray]:
    """Frames uint8 RGB [H, W, 3], each seen with a disc of its radius (below 0.5: as it is) → as many frames.

    in_focus: float32 [H, W] in [0, 1], how much of the sharp frame stays where; nothing of it unless given.
    """
    seen = []
    for frame, radius in zip(frames, radii_pixels, strict=True):
        if radius < _LEAST_RADIUS:
            seen.append(frame)
            continue
        linear = _LINEAR[frame]
        soft = defocus(linear, float(radius))
        if in_focus is not None:
            soft += (linear - soft) * in_focus[..., None]
        seen.append(exposure.quantise(exposure.to_display(soft)))
    return seen


def focus_pull(count: int, radius_pixels: float, rng: np.random.Generator) -> np.ndarray:
    """float32 [count], radii in pixels: sharp, then out of focus up to `radius_pixels`, then mostly sharp again.

    A third to two thirds of the frames are out of focus; the lens takes 2 to 8 frames there and as many back.
    """
    length = int(np.clip(round(count * rng.uniform(0.33, 0.67)), 1, count))
    ramp = float(rng.integers(2, 9))
    start = int(rng.integers(0, count - length + 1))
    place = np.arange(count, dtype=np.float32)
    rise, fall = (place - start + 1.0) / ramp, (start + length - place) / ramp
    return (np.clip(np.minimum(rise, fall), 0.0, 1.0) * radius_pixels).astype(np.float32)


def focal_field(size: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """size: height, width, … → float32 [height, width] in [0, 1]: a smooth region in focus, soft at its border, about
    `share` of the frame."""
    height, width = size[:2]
    field = cv2.resize(rng.standard_normal((3, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip((field - np.quantile(field, 1.0 - share)) * 2.0 + 0.5, 0.0, 1.0)
