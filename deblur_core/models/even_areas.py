"""Even areas stay as recorded: letterbox bars, title cards, mounts, clear sky.

Blur leaves an even area as it is, so there is nothing to restore in it. A network still gives it a small correction,
because it weighs its features by statistics of all that is around: bars of restored frames came out up to one grey
level lighter than those of the frames between them. Knows no architecture.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVEL = 1.0 / 255.0
_EVEN, _UNEVEN = 3.0 * _LEVEL, 8.0 * _LEVEL
"""Highest less lowest value of a channel nearby."""
_SMALL, _LARGE = 8.0 * _LEVEL, 16.0 * _LEVEL
"""Correction. A larger one has found something there, such as a light that blur had spread beyond recognition."""
_CELL = 8
_NEAR = 2
"""Cells of `_CELL` pixels around each that count as near: 16 to 24 pixels."""


def keep_even_areas(recorded: Tensor, restored: Tensor) -> Tensor:
    """`restored`, but `recorded` where nothing nearby varies and the correction is small; smoothly in between.

    recorded: [B, 3, H, W] in [0, 1]; restored: [B, 3, H, W] in about [0, 1], float32. Returns a tensor of this shape,
    equal to `recorded` to the bit in even areas and to `restored` away from them.
    """
    recorded = recorded.contiguous()
    variation = (_highest_nearby(recorded) + _highest_nearby(-recorded)).amax(1, keepdim=True)
    share = _ramp(variation, _EVEN, _UNEVEN)
    if bool((share == 1.0).all()):
        return restored
    correction = _highest_nearby((restored - recorded).abs_().amax(1, keepdim=True))
    share = torch.maximum(share, _ramp(correction, _SMALL, _LARGE))
    height, width = recorded.shape[2:]
    share = F.interpolate(share, scale_factor=_CELL, mode="bilinear", align_corners=False)[..., :height, :width]
    return torch.lerp(recorded, restored, share)


def _highest_nearby(x: Tensor) -> Tensor:
    """Of each cell of [B, C, H, W] and those near it: [B, C, H / cell, W / cell], rounded up."""
    pad = (0, -x.shape[3] % _CELL, 0, -x.shape[2] % _CELL)
    x = F.pad(x, pad, mode="replicate") if any(pad) else x
    # Rows first: on a CPU a tenth of the time that both at once take, or a strided pool.
    cells = x.unflatten(2, (-1, _CELL)).amax(3).unflatten(3, (-1, _CELL)).amax(4)
    return F.max_pool2d(cells, 2 * _NEAR + 1, stride=1, padding=_NEAR)


def _ramp(x: Tensor, low: float, high: float) -> Tensor:
    return ((x - low) / (high - low)).clamp_(0.0, 1.0)
