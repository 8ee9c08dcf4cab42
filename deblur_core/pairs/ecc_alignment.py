"""Brings a picture onto its truth by a homography before the two are compared, as RealBlur is scored.

Its blurred and sharp pictures come from two cameras: what is left of their parallax would count as blur. The
homography maximises the enhanced correlation coefficient (ECC, Evangelidis and Psarakis 2008). Knows no restorer.
"""

import cv2
import numpy as np

NAME = "ECC homography"
_STEPS = 100
_SMOOTHING_PIXELS = 5
_LEAST_SHARE = 0.5
"""Of the picture must be left: a homography that leaves less did not find the picture, but lost it."""


def align_to_truth(picture: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Warps a picture onto its truth and cuts both to the rectangle that the warp covers.

    picture, truth: uint8 RGB [H, W, 3] of one shape. The picture's brightness is matched to the truth's by one factor
    first. Returns both as float32 in [0, 1] (the warped one may overshoot), not rounded to 8 bits again; None where no
    homography is found.
    """
    found, wanted = picture.astype(np.float32) / 255.0, truth.astype(np.float32) / 255.0
    energy = float(np.vdot(found, found))
    if energy == 0.0:
        return None
    found *= float(np.vdot(wanted, found)) / energy
    height, width = truth.shape[:2]
    warp = np.eye(3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT, _STEPS, 0.0)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (wanted, found)]
    try:
        _, warp = cv2.findTransformECC(*grey, warp, cv2.MOTION_HOMOGRAPHY, stop, None, _SMOOTHING_PIXELS)
    except cv2.error:
        return None  # it does not converge: the two have nothing in common, or one is flat
    inverse = cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(
        found, warp, (width, height), flags=cv2.INTER_CUBIC | inverse, borderMode=cv2.BORDER_REFLECT
    )
    covered = cv2.warpPerspective(np.ones((height, width), np.uint8), warp, (width, height), flags=inverse)
    top, bottom, left, right = _covered_rectangle(covered.astype(bool))
    if (bottom - top) * (right - left) < _LEAST_SHARE * height * width:
        return None
    return warped[top:bottom, left:right], wanted[top:bottom, left:right]


def _covered_rectangle(covered: np.ndarray) -> tuple[int, int, int, int]:
    """top, bottom, left, right of a rectangle without a hole: the side with the most holes is moved inwards."""
    top, bottom, left, right = 0, covered.shape[0], 0, covered.shape[1]
    while bottom - top > 1 and right - left > 1:
        inside = ~covered[top:bottom, left:right]
        holes = [inside[0].mean(), inside[-1].mean(), inside[:, 0].mean(), inside[:, -1].mean()]
        worst = int(np.argmax(holes))
        if holes[worst] == 0.0:
            break
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return top, bottom, left, right
