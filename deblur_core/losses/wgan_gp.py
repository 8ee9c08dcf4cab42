"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), as DeblurNet and GradientNet train with it.

DeblurNet (Nahli et al. 2021): Eq. 4, l = l_GAN + 100 · Huber, with l_GAN of Eq. 5; GradientNet (Qi 2022): Eq. 10.
A critic gives a number a frame, or a map of them (PatchGAN), of which its mean counts. Knows no critic.
"""

from collections.abc import Callable

import torch
from torch import Tensor

PENALTY_WEIGHT = 10.0
"""λ of Gulrajani et al.; neither paper names another."""

Critic = Callable[[Tensor], Tensor]


def generator_loss(on_restored: Tensor) -> Tensor:
    """−E[D(G(I_b))] (DeblurNet Eq. 5; a mean where the paper sums, so that weights hold for any batch size).

    on_restored: what the critic gave for restored frames, [B, …]. Returns a scalar, unbounded.
    """
    return -_values(on_restored).mean()


def critic_loss(on_restored: Tensor, on_truth: Tensor) -> Tensor:
    """E[D(G(I_b))] − E[D(I_s)] (GradientNet Eq. 10, first two terms): what the critic minimises beside its penalty.

    on_restored, on_truth: what it gave for restored (detached) and for true frames, [B, …]. Returns a scalar,
    unbounded; minus it is the critic's estimate of the Wasserstein distance.
    """
    return _values(on_restored).mean() - _values(on_truth).mean()


def gradient_penalty(
    critic: Critic, restored: Tensor, truth: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """E[(‖∇D(x̃)‖₂ − 1)²], x̃ uniformly on the line between a restored and its true frame; times PENALTY_WEIGHT it is
    added to `critic_loss`.

    GradientNet's Eq. 10 prints it with a minus and without the −1, the line under it with both right; that line has
    x̃ between truth and *blurred* frame, but the critic judges restored ones (its own reference, too), so they are used.
    restored, truth: [B, C, H, W]; no gradient flows into either. The norm is over all values of a frame, the slope that
    of the mean of what the critic gives for it. generator: for repeatable draws, on the frames' device. Returns a
    scalar ≥ 0, zero for a critic of unit slope. Raises ValueError for different shapes.
    """
    if restored.shape != truth.shape:
        raise ValueError(f"gradient_penalty: restored {list(restored.shape)} against truth {list(truth.shape)}")
    dtype = torch.promote_types(truth.dtype, torch.float32)
    restored, truth = restored.detach().to(dtype), truth.detach().to(dtype)
    share = torch.rand(len(truth), generator=generator, device=truth.device, dtype=dtype)
    between = torch.lerp(truth, restored, share.view(-1, *[1] * (truth.ndim - 1))).requires_grad_()
    # Summed, each frame's gradient comes out as if it were alone: no frame's value depends on another's.
    (slope,) = torch.autograd.grad(_values(critic(between)).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1.0).square().mean()


def _values(given: Tensor) -> Tensor:
    """[B]: one value a frame, in float32 at least."""
    return given.to(torch.promote_types(given.dtype, torch.float32)).reshape(len(given), -1).mean(1)
