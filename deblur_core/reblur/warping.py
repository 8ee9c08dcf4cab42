"""Reblur by warping (Reblur2Deblur, Section 4.4): the frame drawn along its flow and averaged. Quicker, no table.

The paper does not say how many warps it averages. Two alone would leave double pictures of anything that moves further
than a pixel, so each direction takes several steps. Knows no network.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 8


def reblur_by_warping(sharp: Tensor, flows: Sequence[Tensor], steps: int = STEPS) -> Tensor:
    """As `reblur_by_convolution`, for flows of any length; steps: warps for each flow beside the frame itself."""
    if any(flow.shape != (len(sharp), 2, *sharp.shape[2:]) for flow in flows) or not flows or steps < 1:
        raise ValueError(f"reblur: flows of {[list(flow.shape) for flow in flows]} for frames of {list(sharp.shape)}")
    # The trapezoid rule: the ends of the line count half.
    total = 0.5 * len(flows) * sharp
    for flow in flows:
        for step in range(1, steps + 1):
            total = total + warp(sharp, flow * (step / steps)) * (0.5 if step == steps else 1.0)
    return total / (len(flows) * steps)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """image(p + flow(p)), bilinear, borders repeated: [B, C, H, W] and [B, 2, H, W] in pixels → [B, C, H, W]."""
    height, width = image.shape[2:]
    y = torch.arange(height, device=image.device, dtype=image.dtype)[:, None]
    x = torch.arange(width, device=image.device, dtype=image.dtype)
    across = (x + flow[:, 0]) * (2.0 / max(width - 1, 1)) - 1.0
    down = (y + flow[:, 1]) * (2.0 / max(height - 1, 1)) - 1.0
    grid = torch.stack([across, down], dim=3)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
