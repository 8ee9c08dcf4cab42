"""Whether the frame in the middle of some others is a truth for their mean: only where the camera went on evenly.

Between the frames of a shaken clip a camera may jump to and fro, as it does not within one exposure. Then the middle
frame lies pixels away from where the mean of all lies, and nobody who sees that mean alone could know. Knows no light.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from deblur_core.optical_flow import rough_flow

FLOW_SIDE = 180
"""Shorter side of the planes that rough motion is found on, pixels."""
_MOST_PIXELS = 0.5
_MOST_SHARE = 0.05


def small_luma(frame: np.ndarray) -> tuple[np.ndarray, float]:
    """Luma of a frame uint8 RGB [H, W, 3] at `FLOW_SIDE`, uint8, and the scale from the frame to it."""
    scale = FLOW_SIDE / min(frame.shape[:2])
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale


def off_centre(frames: Sequence[np.ndarray]) -> float:
    """How far most of the middle one of N frames lies from its mean place in all of them, pixels.

    frames: uint8 RGB [H, W, 3] each, of one size.
    """
    middle, scale = small_luma(frames[len(frames) // 2])
    ways = [
        np.median(rough_flow(middle, small_luma(frame)[0]).reshape(-1, 2), axis=0)
        for number, frame in enumerate(frames)
        if number != len(frames) // 2
    ]
    return float(np.linalg.norm(np.sum(ways, axis=0))) / (scale * len(frames)) if ways else 0.0


def is_centred(frames: Sequence[np.ndarray], blur_pixels: float) -> bool:
    """Whether the middle frame, uint8 RGB [H, W, 3], may stand as the truth of the mean of all: it lies within half a
    pixel of its mean place, or within a twentieth of the blur."""
    return off_centre(frames) <= max(_MOST_PIXELS, _MOST_SHARE * blur_pixels)
