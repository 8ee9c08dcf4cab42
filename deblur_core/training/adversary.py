"""The critic's side of adversarial training: WGAN-GP, several critic steps a generator step (DeblurNet, Algorithm 1).

Knows no network that restores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deblur_core.losses.wgan_gp import PENALTY_WEIGHT, critic_loss, generator_loss, gradient_penalty


@dataclass(frozen=True)
class AdversarialRecipe:
    """critic: builds it; steps: of the critic a step of the generator; weight: of the generator's adversarial term."""

    critic: Callable[[], nn.Module]
    steps: int = 5
    weight: float = 1.0
    rate: float = 1e-4


class Adversary:
    """A critic and its optimiser. Frames that it sees are single ones, [B, 3, H, W] in [0, 1]."""

    def __init__(self, recipe: AdversarialRecipe, device: torch.device) -> None:
        self.recipe = recipe
        self.critic = recipe.critic().to(device).train()
        self.optimiser = torch.optim.Adam(self.critic.parameters(), lr=recipe.rate, betas=(0.5, 0.9))

    def learn(self, restored: Tensor, truth: Tensor) -> float:
        """One step of the critic on restored (detached) and true frames; its estimate of their distance."""
        restored, truth = restored.detach().float(), truth.float()
        loss = critic_loss(self.critic(restored), self.critic(truth))
        penalty = gradient_penalty(self.critic, restored, truth)
        self.optimiser.zero_grad(set_to_none=True)
        (loss + PENALTY_WEIGHT * penalty).backward()
        self.optimiser.step()
        return -float(loss.detach())

    def judge(self, restored: Tensor) -> Tensor:
        """The weighted term that the generator adds to its loss; its gradient does not stay in the critic."""
        self.critic.requires_grad_(False)
        term = self.recipe.weight * generator_loss(self.critic(restored.float()))
        self.critic.requires_grad_(True)
        return term
