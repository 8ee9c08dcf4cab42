"""PSNR as a loss: what restorers are measured by, with its sign turned."""

import math

import torch
from torch import Tensor

from deblur_core.losses.operands import operands

SMALLEST_ERROR = 1e-6
"""Added to the mean squared error: a perfect frame scores 60 dB, and its gradient stays finite."""


def psnr_loss(restored: Tensor, truth: Tensor, smallest_error: float = SMALLEST_ERROR) -> Tensor:
    """Minus PSNR in dB, mean over the batch: 10 · log10(mean (restored − truth)² + ε), peak 1.

    Each sample counts by its own PSNR, not by its share of the error. restored, truth: [B, …] in [0, 1]. Returns a
    scalar in float32 (float64 if given), −60 for equal tensors. Raises ValueError for different shapes.
    """
    restored, truth = operands(restored, truth)
    error = (restored - truth).square().flatten(1).mean(1)
    return 10.0 / math.log(10.0) * torch.log(error + smallest_error).mean()
