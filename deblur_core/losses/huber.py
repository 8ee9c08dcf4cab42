"""Huber loss (DeblurNet, Nahli et al. 2021, Eq. 6): quadratic for small errors, linear for large ones."""

from torch import Tensor
from torch.nn import functional as F

from deblur_core.losses.operands import operands

LARGEST_QUADRATIC_ERROR = 0.1
"""The paper leaves its α open. Errors of frames in [0, 1] never pass 1, so α = 1 would be the mean squared error, which
it finds not to converge; at 0.1 (25 of 255 levels) edges count linearly and everything else quadratically."""


def huber_loss(restored: Tensor, truth: Tensor, alpha: float = LARGEST_QUADRATIC_ERROR) -> Tensor:
    """Mean over all values of H_α(x), x = restored − truth (DeblurNet Eq. 6).

    H_α(x) = x² / 2 for |x| ≤ α, else α (|x| − α / 2). Printed, the second case is for x > α only; it is meant for |x|.
    restored, truth: [B, C, H, W] in [0, 1]. Returns a scalar ≥ 0 in float32 (float64 if given). Raises ValueError for
    different shapes or an alpha that is not positive.
    """
    if alpha <= 0.0:
        raise ValueError(f"huber_loss: alpha must be positive, not {alpha}")
    return F.huber_loss(*operands(restored, truth), delta=alpha)
