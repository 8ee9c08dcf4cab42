"""A training within its budget, killed and resumed, and what it refuses."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from deblur_core.errors import UsageError, WeightsError
from deblur_core.losses.huber import huber_loss
from deblur_core.models.deblurnet import DeblurNetCritic
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import fill_network
from deblur_core.models.registry import find_restorer
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.training.adversary import AdversarialRecipe
from deblur_core.training.recipes import Recipe, by_huber, by_psnr
from deblur_core.training.run import fresh_network
from deblur_core.training.schedule import Budget
from deblur_core.training.stock import Stock, StockPlan
from deblur_core.training.trainer import Trainer, TrainingSettings


class TinyNetwork(RestorationNetwork):
    """Two convolutions and dropout: something that learns, and draws at random while it does."""

    size_multiple = 2

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 3, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.dropout(torch.relu(self.first(x)), 0.1, self.training))


SETTINGS = SampleSettings(patch=32, margin=40, most_blur_pixels=8.0)
PLAN = StockPlan(72, 1, SETTINGS, references=0)
STEPS = 24


@pytest.fixture(scope="module")
def stock(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    with Stock(tmp_path_factory.mktemp("stock"), library, PLAN, workers=1) as made:
        made.wait_for(PLAN.samples)
    return made


class Clock:
    """A clock on which every step lasts a quarter of a second, however fast the machine is."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def loss(self, network: nn.Module, x: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
        self.now += 0.25
        return by_psnr(network, x, truths)


def trainer(
    stock: Stock,
    folder: Path,
    recipe: Recipe | None = None,
    budget: Budget | None = None,
    every: int = 6,
    clock: Callable[[], float] = time.monotonic,
) -> Trainer:
    torch.manual_seed(7)
    return Trainer(
        TinyNetwork(),
        recipe or Recipe(by_psnr, patch=32, batch=2, peak_rate=1e-2),
        stock,
        np.array(stock.planes[:4]),
        folder,
        budget or Budget(steps=STEPS),
        TrainingSettings(seed=3, threads=1, every=every, save_seconds=0.0 if budget is None else 60.0),
        torch.device("cpu"),
        clock,
    )


class KilledError(Exception):
    """Stands for a kill: nothing of the trainer's runs after it."""


def kill_at(step: int):
    def report(row: dict[str, float]) -> None:
        if row["step"] == step:
            raise KilledError

    return report


def test_the_seed_draws_the_first_weights() -> None:
    entry = find_restorer("default-fast")
    one, same, other = (list(fresh_network(entry, seed).parameters()) for seed in (1, 1, 2))
    assert all(map(torch.equal, one, same))
    assert not all(map(torch.equal, one, other))


def test_a_resumed_training_equals_an_undisturbed_one(stock: Stock, tmp_path: Path) -> None:
    whole = trainer(stock, tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    whole.train()
    (tmp_path / "cut").mkdir()
    with pytest.raises(KilledError):
        trainer(stock, tmp_path / "cut").train(kill_at(12))
    again = trainer(stock, tmp_path / "cut")
    assert again.resume()
    assert 0 < again.progress.step < 12
    again.train()

    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    curves = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in run.curve.rows]
        for run in (whole, again)
    ]
    assert curves[0] == curves[1]
    assert [row["step"] for row in curves[0]] == [0, 6, 12, 18, 24]


def test_a_resumed_adversarial_training_equals_an_undisturbed_one(stock: Stock, tmp_path: Path) -> None:
    class Critic(torch.nn.Sequential):
        def __init__(self) -> None:
            torch.manual_seed(1)
            super().__init__(torch.nn.Conv2d(3, 4, 3), torch.nn.LeakyReLU(0.2), torch.nn.Conv2d(4, 1, 3))

    recipe = Recipe(by_huber, patch=32, batch=2, schedule="cyclic", adversary=AdversarialRecipe(Critic, steps=2))
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = trainer(stock, tmp_path / "whole", recipe)
    whole.train()
    with pytest.raises(KilledError):
        trainer(stock, tmp_path / "cut", recipe).train(kill_at(12))
    again = trainer(stock, tmp_path / "cut", recipe)
    assert again.resume()
    again.train()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])
    assert whole.adversary is not None and again.adversary is not None
    for name, value in whole.adversary.critic.state_dict().items():
        assert torch.equal(value, again.adversary.critic.state_dict()[name])


def test_training_learns(stock: Stock, tmp_path: Path) -> None:
    run = trainer(stock, tmp_path, budget=Budget(steps=150), every=75)
    run.train()
    first, last = run.curve.rows[0], run.curve.rows[-1]
    assert last["after_db"] > first["after_db"] + 0.1
    assert first["before_db"] == last["before_db"]


def test_the_curve_is_a_table_and_a_picture(stock: Stock, tmp_path: Path) -> None:
    trainer(stock, tmp_path).train()
    table = pq.read_table(tmp_path / "curve.parquet")
    assert table.column_names == ["step", "seconds", "loss", "before_db", "after_db"]
    assert table["step"].to_pylist() == [0, 6, 12, 18, 24]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_minute_s_schedule_ends_with_the_minute(stock: Stock, tmp_path: Path) -> None:
    clock = Clock()
    recipe = Recipe(clock.loss, patch=32, batch=2, peak_rate=1e-2)
    run = trainer(stock, tmp_path, recipe, Budget(seconds=60.0), every=100, clock=clock)
    run.train()
    assert run.progress.step == run.progress.total_steps == 240
    assert run.progress.elapsed_seconds == 60.0


def test_a_budget_that_is_too_short_is_refused(stock: Stock, tmp_path: Path) -> None:
    clock = Clock()
    recipe = Recipe(clock.loss, patch=32, batch=2, peak_rate=1e-2)
    with pytest.raises(UsageError, match=r"too short to train: 196 steps of 0\.25 s"):
        trainer(stock, tmp_path, recipe, Budget(seconds=49.0), clock=clock).train()


def test_a_checkpoint_of_another_network_is_refused(stock: Stock, tmp_path: Path) -> None:
    run = trainer(stock, tmp_path)
    run.save()
    other = trainer(stock, tmp_path)
    other.network.first = torch.nn.Conv2d(3, 9, 3)
    with pytest.raises(UsageError, match="another network"):
        other.resume()


def test_a_checkpoint_that_was_tampered_with_is_refused(stock: Stock, tmp_path: Path) -> None:
    run = trainer(stock, tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x80\x04 not a checkpoint")
    with pytest.raises(WeightsError, match="no checkpoint"):
        run.resume()


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_file({"somewhere.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="does not hold weights of TinyNetwork"):
        fill_network(TinyNetwork(), tmp_path / "other.safetensors")


def test_the_critic_learns_on_whole_frames_of_every_output() -> None:
    from deblur_core.training.adversary import Adversary

    torch.manual_seed(0)
    adversary = Adversary(AdversarialRecipe(DeblurNetCritic, steps=1, rate=1e-4), torch.device("cpu"))
    before = {name: value.clone() for name, value in adversary.critic.state_dict().items()}
    adversary.learn(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    assert any(not torch.equal(value, before[name]) for name, value in adversary.critic.state_dict().items())
    restored = torch.rand(2, 3, 64, 64, requires_grad=True)
    adversary.optimiser.zero_grad()
    (adversary.judge(restored) + huber_loss(restored, torch.rand(2, 3, 64, 64))).backward()
    assert restored.grad is not None
    assert restored.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in adversary.critic.parameters())
