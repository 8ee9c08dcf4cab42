"""Variants of a network against each other: each trained from scratch on the same samples for the same number of steps.

What an ablation needs of the trainer: one stock for networks that see windows of different length, and scores of every
held-out sample, so that differences can be paired. Knows no architecture and no published figure.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deblur_core.models.gradientnet import image_gradient
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.precision import inference_dtype
from deblur_core.training.recipes import Recipe
from deblur_core.training.schedule import Budget
from deblur_core.training.stock import Stock, StockPlan
from deblur_core.training.trainer import Trainer, TrainingSettings

RIM = 32
"""Left out when scoring, pixels: warps and recording know nothing of what lies beyond a sample."""
_BATCH = 8
_CURVE_SAMPLES = 8


class MiddleFrames(Stock):
    """A finished stock cut down to the middle frames of its window and of its truths, for a network that sees fewer.

    Raises ValueError when the stock has fewer frames than asked for. Copies into memory.
    """

    def __init__(self, stock: Stock, window: int, truths: int) -> None:
        # Nothing is rendered here, so nothing of Stock's own beginning is wanted.
        stock.wait_for(stock.plan.samples)
        self.plan = narrowed_plan(stock.plan, window, truths)
        self.planes = middle_planes(stock.planes, stock.plan, window, truths)
        self._workers = []

    def wait_for(self, count: int) -> None:
        """All of them are there."""


def narrowed_plan(plan: StockPlan, window: int, truths: int) -> StockPlan:
    """The plan as it reads after `middle_planes`."""
    return replace(plan, settings=replace(plan.settings, window=window, truths=truths))


def middle_planes(planes: np.ndarray, plan: StockPlan, window: int, truths: int) -> np.ndarray:
    """uint8 [N, S, S, C] of `plan`, of which the middle `window` frames and `truths` truths are kept."""
    has = plan.settings
    if window > has.window or truths > has.truths or plan.references:
        raise ValueError(f"samples of {has.window} frames and {has.truths} truths hold no {window} and {truths}")
    first = 3 * ((has.window - window) // 2)
    second = plan.input_channels + 3 * ((has.truths - truths) // 2)
    kept = [*range(first, first + 3 * window), *range(second, second + 3 * truths)]
    return np.ascontiguousarray(planes[..., kept])


def stock_for(network: RestorationNetwork, stock: Stock) -> MiddleFrames:
    """What this network sees and gives of a stock of longer windows."""
    return MiddleFrames(stock, network.frames, network.outputs)


def train_variant(
    network: RestorationNetwork,
    recipe: Recipe,
    stock: Stock,
    validation: np.ndarray,
    folder: Path,
    steps: int,
    seed: int,
    threads: int = 1,
) -> float:
    """Trains `network` in place to its moving average, on the CPU; returns what it took, processor seconds.

    stock, validation: as the network sees them; folder: holds a checkpoint, with which an interrupted training goes on
    (the seconds are then those of the last part). Batches depend on seed and step alone, so that variants of one recipe
    see the same ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = TrainingSettings(seed=seed, threads=threads, every=steps, samples_per_step=stock.plan.samples)
    trainer = Trainer(
        network,
        recipe,
        stock,
        validation[:_CURVE_SAMPLES],
        folder,
        Budget(steps=steps),
        settings,
        torch.device("cpu"),
    )
    trainer.resume()
    began = time.process_time()
    trainer.train()
    network.load_state_dict(trainer.average)
    return time.process_time() - began


@dataclass(frozen=True)
class VariantScores:
    """Of each held-out sample's target frame, float64 [N]. before_db, after_db: PSNR of the blurred and of the restored
    one; steepness: mean absolute gradient of the restored frame over that of the truth, below 1 where it is smoother.
    """

    before_db: np.ndarray
    after_db: np.ndarray
    steepness: np.ndarray


@torch.inference_mode()
def score_variant(network: RestorationNetwork, validation: np.ndarray) -> VariantScores:
    """Scores a network on uint8 [N, S, S, C]: its window, then its truths. The outermost 32 pixels do not count."""
    network.eval()
    side = (validation.shape[1] - 2 * RIM) // network.size_multiple * network.size_multiple
    inner = validation[:, RIM : RIM + side, RIM : RIM + side]
    half = inference_dtype(torch.device("cpu")) == torch.bfloat16 and network.half_precision
    target, middle = 3 * (network.frames // 2), network.input_channels + 3 * (network.outputs // 2)
    rows: list[Tensor] = []
    for start in range(0, len(inner), _BATCH):
        planes = torch.from_numpy(np.ascontiguousarray(inner[start : start + _BATCH]))
        stack = planes.permute(0, 3, 1, 2).float() / 255.0
        x = stack[:, : network.input_channels].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            output = network(x).float().clamp(0.0, 1.0)
        restored = output[:, middle - network.input_channels :][:, :3]
        truth, blurred = stack[:, middle : middle + 3], stack[:, target : target + 3]
        steep = _steepness(restored) / _steepness(truth).clamp(min=1e-6)
        rows.append(torch.stack([_psnr(blurred, truth), _psnr(restored, truth), steep]))
    before, after, steepness = torch.cat(rows, 1).double().numpy()
    return VariantScores(before, after, steepness)


def _psnr(image: Tensor, truth: Tensor) -> Tensor:
    return -10.0 * torch.log10((image - truth).square().mean((1, 2, 3)) + 1e-9)


def _steepness(image: Tensor) -> Tensor:
    return image_gradient(image).abs().mean((1, 2, 3))
