"""An adaptation on footage made here: the given network stays as it is, and a result that is not better is refused."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deblur_core.adaptation.adapt import adapt
from deblur_core.adaptation.footage import Footage
from deblur_core.adaptation.settings import AdaptationSettings
from deblur_core.errors import SettingsError, UsageError
from deblur_core.models.network import RestorationNetwork

QUICK = AdaptationSettings(
    iterations=16, patch=64, labelled_patches=8, unlabelled_patches=4, held_out_patches=4, labelled_batch=2, rate=2e-3
)


class TinyNetwork(RestorationNetwork):
    """A correction by two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, padding=2)
        self.second = nn.Conv2d(8, 3, 5, padding=2)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


def footage() -> Footage:
    """A pan of 30 frames over shapes, frames 10 to 15 smeared along it."""
    rng = np.random.default_rng(3)
    picture = np.full((220, 420, 3), 100, np.uint8)
    for _ in range(160):
        x, y = int(rng.integers(420)), int(rng.integers(220))
        colour = tuple(float(value) for value in rng.integers(0, 255, 3))
        cv2.rectangle(picture, (x, y), (x + int(rng.integers(4, 40)), y + int(rng.integers(4, 40))), colour, -1)
    frames = [picture[10:190, 4 * t + 10 : 4 * t + 270].copy() for t in range(30)]
    blurred = np.zeros(30, bool)
    blurred[10:16] = True
    return Footage("pan", [cv2.blur(f, (9, 1)) if b else f for f, b in zip(frames, blurred, strict=True)], blurred)


def network() -> TinyNetwork:
    torch.manual_seed(2)
    return TinyNetwork()


def test_an_accepted_result_is_better_on_held_out_pairs_and_the_given_network_is_unchanged() -> None:
    given = network()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    result = adapt(given, [footage()], QUICK)
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert result.accepted
    assert result.after_db > result.before_db
    assert any(not torch.equal(value, before[name].half()) for name, value in result.weights.items())


def test_a_result_that_is_worse_is_refused() -> None:
    given = network()
    wild = AdaptationSettings(**{**vars(QUICK), "rate": 30.0, "iterations": 4})
    result = adapt(given, [footage()], wild)
    assert not result.accepted
    assert "the original stays" in result.reason
    assert all(torch.equal(value, given.state_dict()[name].half()) for name, value in result.weights.items())


def test_without_footage_there_is_nothing_to_adapt_to() -> None:
    with pytest.raises(UsageError, match="no frames to adapt to"):
        adapt(network(), [], QUICK)


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"frames": 4}, {"formation": "guess"}, {"patch": 8}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="adaptation"):
        AdaptationSettings(**wrong)  # type: ignore[arg-type]
