"""Variants on the same samples: what each sees of a longer window, how each is scored, and that seeds alone decide."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deblur_core.metrics import psnr
from deblur_core.models.network import RestorationNetwork
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.training.recipes import Recipe, by_psnr
from deblur_core.training.stock import Stock, StockPlan
from deblur_core.training.variants import RIM, middle_planes, score_variant, stock_for, train_variant

PLAN = StockPlan(6, 1, SampleSettings(patch=32, window=5, truths=5), references=0)


class Mixer(RestorationNetwork):
    """`frames` frames in, as many out, through one convolution that starts as nothing."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = self.outputs = frames
        self.mix = nn.Conv2d(3 * frames, 3 * frames, 3, padding=1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(x)


@pytest.fixture(scope="module")
def stock(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    with Stock(tmp_path_factory.mktemp("windows"), library, PLAN, workers=1) as made:
        made.wait_for(PLAN.samples)
    return made


def test_a_network_of_a_shorter_window_sees_the_middle_of_the_same_samples(stock: Stock) -> None:
    cut = stock_for(Mixer(3), stock)
    assert (cut.plan.input_channels, cut.plan.channels) == (9, 18)
    assert np.array_equal(cut.planes[..., :9], stock.planes[..., 3:12])
    assert np.array_equal(cut.planes[..., 9:], stock.planes[..., 18:27])


def test_a_longer_window_than_the_samples_have_is_refused(stock: Stock) -> None:
    with pytest.raises(ValueError, match="hold no 7 and 7"):
        middle_planes(stock.planes, PLAN, 7, 7)


def test_scores_are_those_of_the_middle_frame_without_its_rim(stock: Stock) -> None:
    planes = middle_planes(stock.planes, PLAN, 3, 3)
    scored = score_variant(Mixer(3), planes)
    inner = planes[:, RIM:-RIM, RIM:-RIM]
    by_hand = [psnr(sample[..., 3:6], sample[..., 12:15]) for sample in inner]
    assert scored.before_db == pytest.approx(by_hand, abs=1e-3)
    assert scored.after_db == pytest.approx(by_hand, abs=0.1), "nothing is learnt yet; bfloat16 rounds"
    truth, blurred = (inner[..., 12:15].astype(float), inner[..., 3:6].astype(float))
    slopes = [np.abs(np.diff(image, axis=2)).sum() + np.abs(np.diff(image, axis=1)).sum() for image in (blurred, truth)]
    assert slopes[0] / slopes[1] == pytest.approx(float(scored.steepness.mean()), rel=0.2)


def test_the_same_seed_gives_the_same_variant_and_an_interrupted_one_is_not_begun_anew(
    stock: Stock, tmp_path: Path
) -> None:
    recipe = Recipe(by_psnr, patch=32, batch=2, peak_rate=1e-2)

    def trained(folder: str, steps: int) -> dict[str, Tensor]:
        network = Mixer(3)
        train_variant(network, recipe, stock_for(network, stock), stock_for(network, stock).planes, tmp_path / folder,
                      steps, seed=4)  # fmt: skip
        return network.state_dict()

    first, second = trained("one", 6), trained("two", 6)
    assert torch.equal(first["mix.weight"], second["mix.weight"])
    assert first["mix.weight"].abs().sum() > 0
    assert torch.equal(trained("one", 6)["mix.weight"], first["mix.weight"]), "six steps were done already"
