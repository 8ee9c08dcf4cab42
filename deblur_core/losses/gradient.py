"""Gradient loss (GradientNet, Qi 2022, Eq. 9): restored edges stand where the true ones do, and are as steep."""

from torch import Tensor

from deblur_core.losses.operands import operands


def gradient_loss(restored: Tensor, truth: Tensor) -> Tensor:
    """1/WH Σ ‖∇h(s) − ∇h(G(b))‖₁ + ‖∇v(s) − ∇v(G(b))‖₁, mean over the batch (GradientNet Eq. 9).

    The paper names no gradient operator: it is the difference of neighbouring pixels. The norm sums over channels, as
    printed; each direction is averaged over its own differences, of which there is one fewer than pixels. restored,
    truth: [B, C, H, W], both sides 2 or more, in [0, 1]. Returns a scalar in [0, 4 C], blind to a constant shift, in
    float32 (float64 if given). Raises ValueError for different or smaller shapes.
    """
    restored, truth = operands(restored, truth)
    if restored.ndim != 4 or min(restored.shape[2:]) < 2:
        raise ValueError(f"gradient_loss: wants [B, C, H, W] of 2 × 2 pixels or more, not {list(restored.shape)}")
    error = restored - truth
    return error.diff(dim=3).abs().sum(1).mean() + error.diff(dim=2).abs().sum(1).mean()
