"""Brings a sharp neighbour onto a blurred frame by optical flow, and says where that can be trusted.

Blur and sharpness disturb flow, so it is computed on low-passed luma at half size, where both look alike.
Knows no network and no video.
"""

import cv2
import numpy as np

from deblur_core.optical_flow import smooth_flow

_LOWPASS_SIGMA = 1.25  # at half size: 2.5 px of the full frame, about the blur that a restorer meets


def flow_luma(frame: np.ndarray) -> np.ndarray:
    """uint8 or uint16 RGB [H, W, 3] → uint8 [H/2, W/2], low-passed: what flow is computed on."""
    if frame.dtype == np.uint16:
        frame = (frame >> 8).astype(np.uint8)
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    half = cv2.resize(gray, ((gray.shape[1] + 1) // 2, (gray.shape[0] + 1) // 2), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(half, (0, 0), _LOWPASS_SIGMA)


def align(reference: np.ndarray, target: np.ndarray, target_luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Warps `reference` onto `target`.

    Both uint8 or uint16 RGB [H, W, 3]; target_luma: `flow_luma` of the target, computed once for all its references.
    Returns the warped reference (same dtype and shape) and its validity, float32 [H, W] in {0, 1}. Where the warp would
    read from outside the reference (validity 0) the target shows instead, so that nothing mirrored can leak in. Frames
    whose shorter side is under 32 px come back unwarped.
    """
    height, width = reference.shape[:2]
    if min(height, width) < 32:
        return reference, np.ones((height, width), np.float32)
    half = smooth_flow(target_luma, flow_luma(reference))
    scale_x, scale_y = width / half.shape[1], height / half.shape[0]
    flow = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    map_x = columns + flow[..., 0] * np.float32(scale_x)
    map_y = rows + flow[..., 1] * np.float32(scale_y)
    warped = cv2.remap(reference, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    inside = (map_x >= 0) & (map_x <= width - 1) & (map_y >= 0) & (map_y <= height - 1)
    return np.where(inside[..., None], warped, target), inside.astype(np.float32)
