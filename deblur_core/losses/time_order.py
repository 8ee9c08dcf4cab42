"""PSNR of the moments of one exposure, whichever way round: a blurred frame does not tell in which direction it moved.

Trained on one fixed order, a network can only give the mean of both, which stands still. Compare the pairwise loss of
Jin et al. 2018 ("Learning to extract a video sequence from a single motion-blurred image"), which lets each pair
choose; here all moments of a frame choose together.
"""

import math

import torch
from torch import Tensor

from deblur_core.losses.operands import operands
from deblur_core.losses.psnr import SMALLEST_ERROR


def either_way_psnr_loss(restored: Tensor, truth: Tensor, smallest_error: float = SMALLEST_ERROR) -> Tensor:
    """Minus PSNR in dB of each sample's better order, mean over the batch.

    restored, truth: [B, 3 × moments, H, W] in [0, 1], in order of time. Returns a scalar in float32, −60 for equal
    tensors. Raises ValueError for different shapes.
    """
    restored, truth = operands(restored, truth)
    turned = truth.unflatten(1, (-1, 3)).flip(1).flatten(1, 2)
    errors = torch.stack([(restored - order).square().flatten(1).mean(1) for order in (truth, turned)])
    return 10.0 / math.log(10.0) * torch.log(errors.amin(0) + smallest_error).mean()
