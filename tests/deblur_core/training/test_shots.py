"""Samples cut from whole shots: what a network sees of them is what a run would show it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.models import passes
from deblur_core.models.neighbour_nafnet import NeighbourNAFNet
from deblur_core.models.network_restorer import NetworkRestorer, stack_planes
from deblur_core.models.registry import find_restorer
from deblur_core.models.restorer import FrameWindow
from deblur_core.models.weights_file import WEIGHTS_FOLDER
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.training import shots
from deblur_core.training.run import TrainingRequest, train_restorer
from deblur_core.training.schedule import Budget
from deblur_core.training.stock import ShotRestorer, Stock, StockPlan

SIDE = 96


def small_restorer(count: int) -> NetworkRestorer:
    torch.manual_seed(0)
    network = NeighbourNAFNet(width=8, encoder=(1, 1), passes=count)
    return NetworkRestorer("small", network, "", torch.device("cpu"), torch.float32)


def picture() -> np.ndarray:
    rng = np.random.default_rng(4)
    blocks = rng.integers(0, 255, (30, 30, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((16, 16, 1), np.uint8))


def draw(monkeypatch: pytest.MonkeyPatch, count: int, without_sharp: bool) -> tuple[list[np.ndarray], list[Any]]:
    """The samples of one shot, and for each stack that was made its window and guide."""
    stacked: list[Any] = []

    def stack(window: FrameWindow, frames: int, references: int, guide: np.ndarray | None = None) -> np.ndarray:
        stacked.append((window, guide))
        return stack_planes(window, frames, references, guide)

    monkeypatch.setattr(passes, "stack_planes", stack)
    monkeypatch.setattr(shots, "_SHARE_WITHOUT_SHARP", float(without_sharp))
    monkeypatch.setattr(shots, "_SHOT_SIDE", SIDE + 32)
    samples = shots.draw_shot([picture()], np.random.default_rng(1), small_restorer(count), SIDE)
    return samples, stacked


def test_a_shot_gives_samples_of_the_first_pass_and_of_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, stacked = draw(monkeypatch, count=3, without_sharp=False)
    assert len(samples) == shots.SAMPLES_PER_SHOT
    assert {(sample.shape, sample.dtype.name) for sample in samples} == {((SIDE, SIDE, 3 + 2 * 4 + 3), "uint8")}
    assert [guide is None for _, guide in stacked] == [True, False] * (len(samples) // 2)
    assert all(len(window.references) == 2 and not window.stand_ins for window, _ in stacked)


def test_a_network_of_one_pass_sees_first_passes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, stacked = draw(monkeypatch, count=1, without_sharp=False)
    assert len(stacked) == len(samples) == shots.SAMPLES_PER_SHOT
    assert all(guide is None for _, guide in stacked)


def test_where_no_frame_is_sharp_restored_ones_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, stacked = draw(monkeypatch, count=2, without_sharp=True)
    first, second = stacked[0::2], stacked[1::2]
    assert all(not window.references for window, _ in first)
    assert all(sample[..., 6].max() == 0 for sample in samples[0::2]), "no reference is valid in a first pass"
    assert any(len(window.references) == 2 for window, _ in second)
    assert any(sample[..., 6].max() == 255 for sample in samples[1::2])


def test_every_other_group_of_a_stock_is_cut_from_a_shot(library: Path, tmp_path: Path) -> None:
    entry = find_restorer("default-fast")
    restorer = ShotRestorer(entry.name, WEIGHTS_FOLDER / entry.weights)
    plain = StockPlan(2 * shots.SAMPLES_PER_SHOT, 5, SampleSettings(patch=32), 2)
    stocks = {}
    for name, plan, by in (("plain", plain, None), ("shots", restorer.plan(plain), restorer)):
        with Stock(tmp_path / name, library, plan, 1, by) as stock:
            stock.wait_for(plan.samples)
            stocks[name] = np.array(stock.planes)
    half = shots.SAMPLES_PER_SHOT
    assert np.array_equal(stocks["plain"][:half], stocks["shots"][:half])
    assert not any(np.array_equal(*pair) for pair in zip(stocks["plain"][half:], stocks["shots"][half:], strict=True))


@pytest.mark.parametrize(("name", "start_from"), [("default-fast", False), ("deblurnet", True)])
def test_shots_are_refused_where_nothing_restores_them(
    name: str, start_from: bool, photographs: Path, tmp_path: Path
) -> None:
    weights = WEIGHTS_FOLDER / find_restorer(name).weights if start_from else None
    request = TrainingRequest(
        name, [photographs], tmp_path, Budget(steps=60), shots=True, start_from=weights, samples=1
    )
    with pytest.raises(UsageError, match="give --start-from, or leave --shots out"):
        train_restorer(request, lambda row: None, resume=False)
