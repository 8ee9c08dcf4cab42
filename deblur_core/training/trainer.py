"""Trains any restoration network within a budget of time, and goes on after a kill as if nothing had happened.

Every step is a function of its number: batch, rate and dropout are drawn from the seed and the step, so that a resumed
run takes the very steps of an undisturbed one. Knows no architecture, no recipe of any network and no cluster.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from deblur_core.errors import UsageError
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.precision import inference_dtype
from deblur_core.training.adversary import Adversary
from deblur_core.training.checkpoint import load_checkpoint, optimiser_tensors, restore_optimiser, save_checkpoint
from deblur_core.training.curve import Curve
from deblur_core.training.recipes import Recipe
from deblur_core.training.schedule import CALIBRATION_STEPS, LEAST_STEPS, Budget, cosine_rate, cyclic_rate
from deblur_core.training.stock import Stock

FIRST_SAMPLES = 64
_CHECKPOINT = "checkpoint.safetensors"
_WEIGHTS = "weights.safetensors"
_REFIT_SHARE = 0.03
_RIM = 32


@dataclass(frozen=True)
class TrainingSettings:
    """samples_per_step: how fast the stock is released to learn from; every: steps between two validations."""

    seed: int = 1
    threads: int = 2
    every: int = 250
    save_seconds: float = 120.0
    samples_per_step: int = 1


@dataclass
class Progress:
    """Where a run stands; with the tensors it is all that a checkpoint holds."""

    step: int = 0
    total_steps: int = 0
    elapsed_seconds: float = 0.0
    running_loss: float = 0.0


class Trainer:
    """One run: network, its moving average and the optimiser, over a stock of samples.

    folder: where checkpoint, weights and curve lie; `train` returns when the budget is used up. clock: seconds, from
    any zero, by which a budget of time is spent.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        recipe: Recipe,
        stock: Stock,
        validation: np.ndarray,
        folder: Path,
        budget: Budget,
        settings: TrainingSettings,
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        torch.set_num_threads(settings.threads)
        self.recipe, self.stock, self.validation = recipe, stock, validation
        self.folder, self.budget, self.settings, self.device = folder, budget, settings, device
        self.clock = clock
        self.dtype = inference_dtype(device)
        self.network = _channels_last(network.to(device).train())
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.peak_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
        self.adversary = Adversary(recipe.adversary, device) if recipe.adversary else None
        self.average = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.progress = Progress()
        self.curve = Curve(folder)

    def resume(self) -> bool:
        """Takes up the checkpoint in the folder, if there is one. Raises WeightsError when it is of another network."""
        path = self.folder / _CHECKPOINT
        if not path.exists():
            return False
        tensors, progress = load_checkpoint(path)
        own = {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        try:
            self.network.load_state_dict(own)
            self.average = {name: tensors[f"average.{name}"].to(self.device) for name in self.average}
        except (RuntimeError, KeyError) as cause:
            raise UsageError(
                f"{path} is a run of another network: train into another folder, or remove it "
                f"({str(cause).splitlines()[0]})"
            ) from cause
        restore_optimiser(self.optimiser, self.network, tensors, "optimiser.")
        if self.adversary:
            critic = {
                name.removeprefix("critic."): value for name, value in tensors.items() if name.startswith("critic.")
            }
            self.adversary.critic.load_state_dict(critic)
            restore_optimiser(self.adversary.optimiser, self.adversary.critic, tensors, "critic-optimiser.")
        self.curve.load(progress.pop("rows"))
        self.progress = Progress(**progress)
        return True

    def train(self, report: Callable[[dict[str, float]], None] = lambda row: None) -> Path:
        """Runs to the end of the budget. report: called with each new row of the curve.

        Returns the path of the moving average's weights, half precision. Raises UsageError for too short a budget.
        """
        progress, settings = self.progress, self.settings
        if self.budget.steps is not None:
            progress.total_steps = self.budget.steps
        began, saved = self.clock() - progress.elapsed_seconds, self.clock()
        durations: deque[float] = deque(maxlen=CALIBRATION_STEPS)
        if progress.step == 0:
            self._validate(report)
        while not progress.total_steps or progress.step < progress.total_steps:
            step_began = self.clock()
            self._step()
            durations.append(self.clock() - step_began)
            progress.elapsed_seconds = self.clock() - began
            if len(durations) == CALIBRATION_STEPS and progress.step % CALIBRATION_STEPS == 0:
                self._fit(sum(durations) / len(durations))
            if progress.step % settings.every == 0 or progress.step == progress.total_steps:
                self._validate(report)
            if self.clock() - saved > settings.save_seconds:
                self.save()
                saved = self.clock()
        self.save()
        return self.folder / _WEIGHTS

    def save(self) -> None:
        """Writes checkpoint, weights and curve; each is whole or not there."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= optimiser_tensors(self.optimiser, self.network, "optimiser.")
        if self.adversary:
            tensors |= {f"critic.{name}": value for name, value in self.adversary.critic.state_dict().items()}
            tensors |= optimiser_tensors(self.adversary.optimiser, self.adversary.critic, "critic-optimiser.")
        progress: dict[str, Any] = {**vars(self.progress), "rows": self.curve.rows}
        save_checkpoint(self.folder / _CHECKPOINT, tensors, progress)
        half = {name: value.half().cpu().contiguous() for name, value in self.average.items()}
        draft = self.folder / (_WEIGHTS + ".part")
        save_file(half, str(draft))
        draft.replace(self.folder / _WEIGHTS)
        self.curve.save()

    def _fit(self, seconds_per_step: float) -> None:
        """Fits the length of the schedule to the time that is left; small differences are left alone."""
        if self.budget.seconds is None:
            return
        left = self.budget.seconds - self.progress.elapsed_seconds
        fitted = self.progress.step + max(int(left / seconds_per_step), 0)
        if fitted < LEAST_STEPS and self.progress.total_steps == 0:
            raise UsageError(
                f"the budget is too short to train: {fitted} steps of {seconds_per_step:.2f} s; "
                f"it takes at least {LEAST_STEPS} steps, {LEAST_STEPS * seconds_per_step / 60.0:.1f} minutes here"
            )
        if abs(fitted - self.progress.total_steps) > _REFIT_SHARE * self.progress.total_steps:
            self.progress.total_steps = fitted

    def _step(self) -> None:
        progress, recipe, seed = self.progress, self.recipe, self.settings.seed
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        released = min(FIRST_SAMPLES + progress.step * self.settings.samples_per_step, self.stock.plan.samples)
        self.stock.wait_for(released)
        rng = np.random.default_rng([seed, progress.step])
        torch.manual_seed(seed * 1_000_003 + progress.step)
        if self.adversary:
            self._teach_critic(self.adversary, rng, released)
        x, truths = self._batch(rng, released)
        with self._autocast():
            loss, restored = recipe.loss(self.network, x, truths)
        if self.adversary:
            loss = loss + self.adversary.judge(_single_frames(restored))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self.optimiser.step()
        progress.step += 1
        decay = min(recipe.average, (1 + progress.step) / (10 + progress.step))
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1.0 - decay)
        value = float(loss.detach())
        progress.running_loss = value if progress.step == 1 else 0.98 * progress.running_loss + 0.02 * value

    def _rate(self) -> float:
        if self.recipe.schedule == "cyclic":
            return cyclic_rate(self.progress.step, self.recipe.peak_rate / 6.0, self.recipe.peak_rate)
        # The length is unknown for the first steps: they lie within the warm-up, where it hardly matters.
        return cosine_rate(self.progress.step, self.progress.total_steps or 10**9, self.recipe.peak_rate)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def _teach_critic(self, adversary: Adversary, rng: np.random.Generator, released: int) -> None:
        for _ in range(adversary.recipe.steps):
            x, truths = self._batch(rng, released)
            with torch.no_grad(), self._autocast():
                restored = self.network(x)
            adversary.learn(_single_frames(restored), _single_frames(truths))

    def _batch(self, rng: np.random.Generator, released: int) -> tuple[Tensor, Tensor]:
        """Random samples of the stock, each cut, turned and flipped anew: input and truths, [0, 1], channels last."""
        plan, patch = self.stock.plan, self.recipe.patch
        margin = (plan.side - patch) // 2
        out = []
        for index in rng.integers(released, size=self.recipe.batch):
            y, x = rng.integers(margin // 2, margin + margin // 2 + 1, 2)
            cut = np.rot90(self.stock.planes[index, y : y + patch, x : x + patch], int(rng.integers(4)))
            out.append(cut[:, ::-1] if rng.random() < 0.5 else cut)
        return self._tensors(np.stack(out))

    def _tensors(self, planes: np.ndarray) -> tuple[Tensor, Tensor]:
        stack = torch.from_numpy(np.ascontiguousarray(planes)).to(self.device).permute(0, 3, 1, 2).float().div_(255.0)
        channels = self.stock.plan.input_channels
        return stack[:, :channels].contiguous(memory_format=torch.channels_last), stack[:, channels:].contiguous()

    def _validate(self, report: Callable[[dict[str, float]], None]) -> None:
        """Adds a row to the curve: PSNR of the middle frame before and after the moving average, held-out patches."""
        current = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        before: list[float] = []
        after: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(self.validation), 8):
                self._score(self.validation[start : start + 8], before, after)
        self.network.load_state_dict(current)
        self.network.train()
        progress = self.progress
        row = {
            "step": float(progress.step),
            "seconds": round(progress.elapsed_seconds, 1),
            "loss": round(progress.running_loss, 4),
            "before_db": round(float(np.mean(before)), 4),
            "after_db": round(float(np.mean(after)), 4),
        }
        self.curve.rows.append(row)
        report(row)

    def _score(self, planes: np.ndarray, before: list[float], after: list[float]) -> None:
        # The rim is left out: warps and recording know nothing of what lies beyond it.
        multiple = self.network.size_multiple
        side = (planes.shape[1] - 2 * _RIM) // multiple * multiple
        x, truths = self._tensors(planes[:, _RIM : _RIM + side, _RIM : _RIM + side])
        with self._autocast():
            output = self.network(x).float().clamp(0, 1)
        middle = 3 * (self.network.outputs // 2)
        target = 3 * (self.network.frames // 2)
        truth = truths[:, middle : middle + 3]
        before += _psnr(x[:, target : target + 3], truth)
        after += _psnr(output[:, middle : middle + 3], truth)


def _single_frames(frames: Tensor) -> Tensor:
    """[B, 3 × N, H, W] → [B × N, 3, H, W]: what a critic judges."""
    return frames.reshape(-1, 3, *frames.shape[2:])


def _psnr(image: Tensor, truth: Tensor) -> list[float]:
    error = (image - truth).square().mean((1, 2, 3))
    return [float(value) for value in -10.0 * torch.log10(error + 1e-9)]


def _channels_last(network: RestorationNetwork) -> RestorationNetwork:
    out: RestorationNetwork = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return out
