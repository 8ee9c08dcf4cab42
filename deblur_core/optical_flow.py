"""Dense optical flow between two luma planes: DIS (Kroeger et al. 2016) as OpenCV has it, made safe and repeatable.

OpenCV's engine keeps its buffers between calls: given planes of another size it may read what the last call left
there, so that results depend on what was asked before, or crash; and planes of which a side is under about 30 pixels
can crash a new one. So every call has an engine of its own, and small planes are extended. Knows no network, no video.
"""

import cv2
import numpy as np

_LEAST_SIDE = 48


def dense_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow of uint8 luma planes [H, W], in pixels: float32 [H, W, 2] (x, y).

    first(p) shows what second(p + flow(p)) does.
    Matched down to half the planes' resolution, then refined variationally.
    """
    return _flow(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), first, second)


def smooth_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """As `dense_flow`, refined longer and smoother: for planes that differ in more than motion, such as in sharpness.

    The refinement's weights are those that brought sharp pictures onto motion-blurred ones best (docs/models.md, "How
    `default` came to be"); where both are sharp and something small moves fast, `dense_flow` follows it better.
    """
    engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    engine.setVariationalRefinementIterations(10)
    engine.setVariationalRefinementAlpha(30.0)
    engine.setVariationalRefinementGamma(5.0)
    return _flow(engine, first, second)


def rough_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """As `dense_flow`, several times faster and several times coarser: enough to say how far a picture moves."""
    return _flow(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST), first, second)


def _flow(engine: "cv2.DISOpticalFlow", first: np.ndarray, second: np.ndarray) -> np.ndarray:
    height, width = first.shape
    below, right = max(_LEAST_SIDE - height, 0), max(_LEAST_SIDE - width, 0)
    if below or right:
        first, second = (
            cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE) for plane in (first, second)
        )
    return engine.calc(first, second, np.zeros((*first.shape, 2), np.float32))[:height, :width]
