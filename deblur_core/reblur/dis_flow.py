"""Flow between restored frames by DIS (Kroeger et al. 2016, in OpenCV): needs no weights and passes no gradients on.

Computed on low-passed luma at half size, as the alignment of references is: what a restorer has not quite sharpened in
one of the frames does not disturb it there. Knows no network.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from deblur_core.alignment import flow_luma
from deblur_core.optical_flow import dense_flow

LEAST_SIDE = 32


def dis_flow(first: Tensor, second: Tensor) -> Tensor:
    """Two frames [B, 3, H, W] in [0, 1] → float32 [B, 2, H, W] in pixels: first(p) shows what second(p + flow(p)) does.

    Raises ValueError for frames whose shorter side is under 32 pixels.
    """
    height, width = first.shape[2:]
    if first.shape != second.shape or min(height, width) < LEAST_SIDE:
        raise ValueError(f"dis_flow: wants two frames of one size, 32 pixels or more: {list(first.shape)}")
    flows = []
    for one, other in zip(_lumas(first), _lumas(second), strict=True):
        half = dense_flow(one, other)
        flow = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
        flows.append(flow * np.array([width / half.shape[1], height / half.shape[0]], np.float32))
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous().to(first.device)


def _lumas(frames: Tensor) -> list[np.ndarray]:
    pixels = frames.detach().float().clamp(0.0, 1.0).mul(255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [flow_luma(np.ascontiguousarray(frame)) for frame in pixels]
