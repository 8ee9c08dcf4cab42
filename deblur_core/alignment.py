"""Brings sharp neighbours onto a blurred frame by optical flow, and says where that can be trusted.

Blur and sharpness disturb flow: between a blurred frame and a sharp one it is found on low-passed luma at half size,
where both look alike. Once the frame has been restored, flow to that guide is found at full size. Knows no network and
no video.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from deblur_core.optical_flow import smooth_flow

_LEAST_SIDE = 32
_HALF_SIGMA = 1.25  # at half size: 2.5 px of the full frame, about the blur that a restorer meets
_FULL_SIGMA = 1.6  # keeps what a restored frame lacks of the finest detail from looking like motion


def flow_luma(frame: np.ndarray) -> np.ndarray:
    """uint8 or uint16 RGB [H, W, 3] → uint8 [H/2, W/2], low-passed: what flow to a blurred frame is computed on."""
    gray = _gray(frame)
    half = cv2.resize(gray, ((gray.shape[1] + 1) // 2, (gray.shape[0] + 1) // 2), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(half, (0, 0), _HALF_SIGMA)


def align(
    references: Sequence[np.ndarray], target: np.ndarray, guide: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Warps each of `references` onto `target`.

    All uint8 or uint16 RGB [H, W, 3]; guide: a sharper picture of what the target shows, such as it was restored; flow
    is then found to it, at full size. Returns for each the warped reference (same dtype and shape) and its validity,
    bool [H, W]. Where the warp would read from outside the reference (False) the target shows instead, so that nothing
    mirrored can leak in. Frames whose shorter side is under 32 px come back unwarped.
    """
    if not references:
        return []
    height, width = target.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        return [(reference, np.ones((height, width), bool)) for reference in references]
    luma = flow_luma if guide is None else _full_luma
    to = luma(target if guide is None else guide)
    return [_warp(reference, target, smooth_flow(to, luma(reference))) for reference in references]


def _warp(reference: np.ndarray, target: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = target.shape[:2]
    if flow.shape[:2] != (height, width):
        flow = flow * np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    # A softer resampling than others, but one that averages the reference's noise: cubic was worse by 0.3 dB.
    kind = cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP
    warped = cv2.remap(reference, flow, None, kind, borderMode=cv2.BORDER_REFLECT_101)
    inside = _within(flow[..., 0], np.arange(width, dtype=np.float32))
    inside &= _within(flow[..., 1], np.arange(height, dtype=np.float32)[:, None])
    outside = ~inside
    warped[outside] = target[outside]
    return warped, inside


def _within(flow: np.ndarray, places: np.ndarray) -> np.ndarray:
    """bool [H, W]: whether `places` + flow lies between the first and the last of the places."""
    out: np.ndarray = (flow >= -places) & (flow <= places.max() - places)
    return out


def _full_luma(frame: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(_gray(frame), (0, 0), _FULL_SIGMA)


def _gray(frame: np.ndarray) -> np.ndarray:
    if frame.dtype == np.uint16:
        frame = (frame >> 8).astype(np.uint8)
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
