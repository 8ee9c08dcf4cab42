"""How each network is taught: its loss, its patches, its rate. One trainer runs them all.

`RECIPES` are those that the released weights were made with, `PUBLISHED` follow the papers to the letter where the
papers say. Knows no data and no files.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from deblur_core.errors import UsageError
from deblur_core.losses.gradient import gradient_loss
from deblur_core.losses.huber import huber_loss
from deblur_core.losses.psnr import psnr_loss
from deblur_core.losses.time_order import either_way_psnr_loss
from deblur_core.models.deblurnet import DeblurNetCritic
from deblur_core.models.gradientnet import GradientGuidedUNet, image_gradient
from deblur_core.models.network import RestorationNetwork
from deblur_core.training.adversary import AdversarialRecipe

Loss = Callable[[RestorationNetwork, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(network, input [B, C, H, W], truths [B, 3 × outputs, H, W]) → loss, and what the network gave, like the truths."""


def by_psnr(network: RestorationNetwork, x: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """PSNR of all the frames that the network gives, dB, negative."""
    restored = network(x).float()
    return psnr_loss(restored, truths), restored


def by_psnr_either_way(network: RestorationNetwork, x: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """PSNR of the moments of one exposure, forwards or backwards, dB, negative."""
    restored = network(x).float()
    return either_way_psnr_loss(restored, truths), restored


def by_huber(network: RestorationNetwork, x: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """λ = 100 times the Huber loss (DeblurNet, Eq. 4)."""
    restored = network(x).float()
    return 100.0 * huber_loss(restored, truths), restored


def by_psnr_and_gradient(network: RestorationNetwork, x: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """PSNR of the frame, and the gradient loss (GradientNet, Eq. 9) of it and of what GradientNet itself predicts."""
    assert isinstance(network, GradientGuidedUNet)
    restored, gradient = network.forward_with_gradient(x)
    restored = restored.float()
    loss = psnr_loss(restored, truths) + 10.0 * gradient_loss(restored, truths)
    if gradient is not None:
        loss = loss + 10.0 * (gradient.float() - image_gradient(truths)).abs().mean()
    return loss, restored


@dataclass(frozen=True)
class Recipe:
    """patch: pixels; batch: samples a step; peak_rate: AdamW's after its warm-up; average: decay of the EMA.

    schedule: half a cosine, or DeblurNet's cyclic rate (0.001 to `peak_rate`, 2,600 steps); minutes: what the released
    weights were given on one CPU core.
    """

    loss: Loss
    patch: int = 192
    batch: int = 6
    peak_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.9)
    weight_decay: float = 1e-3
    average: float = 0.999
    clip_norm: float = 1.0
    schedule: Literal["cosine", "cyclic"] = "cosine"
    adversary: AdversarialRecipe | None = None
    minutes: float = 15.0


RECIPES: dict[str, Recipe] = {
    "default": Recipe(by_psnr, minutes=100.0),
    "default-fast": Recipe(by_psnr, minutes=40.0),
    "deblurnet": Recipe(by_psnr, patch=128, batch=4),
    "deblurgan": Recipe(by_psnr, patch=128, batch=4),
    "dvd": Recipe(by_psnr, patch=128, batch=6),
    "gradientnet": Recipe(by_psnr_and_gradient, patch=128, batch=4),
    "st-variant-rnn": Recipe(by_psnr, patch=96, batch=4),
    "contiguous": Recipe(by_psnr_either_way, patch=128, batch=4),
}

PUBLISHED: dict[str, Recipe] = {
    # Algorithm 1, section IV-D: Adam, batch 4, eight critic steps, cyclic rate 0.001 to 0.006, λ = 100.
    "deblurnet": replace(
        RECIPES["deblurnet"],
        loss=by_huber,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        peak_rate=6e-3,
        schedule="cyclic",
        adversary=AdversarialRecipe(DeblurNetCritic, steps=8),
    ),
}


def find_recipe(name: str, published: bool = False) -> Recipe:
    """The recipe of a network. Raises UsageError naming those that exist."""
    recipes = PUBLISHED if published else RECIPES
    if name not in recipes:
        kind = "published recipe" if published else "recipe"
        raise UsageError(f"there is no {kind} for {name!r}: there is {', '.join(recipes)}")
    return recipes[name]
