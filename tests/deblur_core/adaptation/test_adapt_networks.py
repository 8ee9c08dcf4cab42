"""Adaptation of networks of every shape, by either blur formation, with flows of either kind; what it says no to."""

from typing import Any

import pytest
import torch

from deblur_core.adaptation.adapt import adapt, rate_share, supervised_loss
from deblur_core.adaptation.settings import AdaptationSettings
from deblur_core.errors import SettingsError, UsageError
from deblur_core.models.flownets import FlowNetS
from tests.deblur_core.adaptation.footage import TinyNetwork, partly_blurred

SHAPES = [(1, 0, 1), (1, 2, 1), (5, 0, 1), (5, 0, 5), (1, 0, 7)]


def quick(**options: Any) -> AdaptationSettings:
    few = {"iterations": 2, "patch": 64, "labelled_batch": 2, "labelled_patches": 6, "unlabelled_patches": 4,
           "held_out_patches": 4, "exposure": 0.5}  # fmt: skip
    return AdaptationSettings(**{**few, **options})


def tiny(frames: int = 1, references: int = 0, outputs: int = 1) -> TinyNetwork:
    torch.manual_seed(0)
    return TinyNetwork(frames, references, outputs)


@pytest.mark.parametrize(("frames", "references", "outputs"), SHAPES)
@pytest.mark.parametrize("form", [2, 3])
def test_networks_of_every_shape_can_be_adapted(frames: int, references: int, outputs: int, form: int) -> None:
    done = adapt(tiny(frames, references, outputs), [partly_blurred()], quick(frames=form))
    assert (done.looked_at, done.explained, done.teaching) == (4, 4, 4)
    assert done.weights.keys() == tiny(frames, references, outputs).state_dict().keys()
    assert all(value.dtype == torch.float16 for value in done.weights.values())


def test_every_iteration_is_told() -> None:
    seen: list[int] = []
    adapt(tiny(), [partly_blurred()], quick(iterations=8, rate=1e-3), watch=seen.append)
    assert seen == list(range(1, 9))


def test_the_reblur_loss_changes_what_is_learnt() -> None:
    with_it, without = (adapt(tiny(), [partly_blurred()], quick(alpha=alpha, rate=1e-3)) for alpha in (5.0, 0.0))
    assert with_it.after_db != without.after_db


def test_by_convolution_and_with_a_learnt_flow() -> None:
    torch.manual_seed(1)
    settings = quick(formation="convolution", unlabelled_batch=1)
    assert adapt(tiny(), [partly_blurred()], settings, flow=FlowNetS(width=2)).teaching == 4


def test_places_that_nothing_explains_are_left_out_and_the_pairs_are_learnt_alone() -> None:
    done = adapt(tiny(), [partly_blurred(blurred=range(12, 20), frames=20)], quick(exposure=None, iterations=1))
    assert done.looked_at == 4
    assert done.teaching <= done.explained <= 4


def test_the_same_seed_gives_the_same_weights() -> None:
    one, other = (adapt(tiny(), [partly_blurred()], quick(rate=1e-3)) for _ in range(2))
    assert one.after_db == other.after_db
    assert all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())


def test_a_loss_that_is_not_finite_ends_it_with_a_refusal() -> None:
    network = tiny()
    torch.nn.init.constant_(network.last.weight, float("nan"))
    done = adapt(network, [partly_blurred()], quick())
    assert not done.accepted
    assert "not finite" in done.reason


@pytest.mark.parametrize(
    ("footage", "words"),
    [
        ([partly_blurred(blurred=[])], "no blurred frame"),
        ([partly_blurred(blurred=range(16))], "only 4 sharp frames"),
        ([partly_blurred(size=(120, 48), name="small.mp4")], r"small\.mp4 has frames of 48 pixels"),
    ],
)
def test_footage_with_nothing_to_learn_from_is_refused(footage: list[Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        adapt(tiny(), footage, quick())


@pytest.mark.parametrize("wrong", [{"exposure": 0.0}, {"alpha": -1.0}, {"rate": float("nan")}, {"held_out_patches": 0}])
def test_a_setting_out_of_range_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"adaptation: {next(iter(wrong))} = "):
        AdaptationSettings(**wrong)


def test_moments_of_one_exposure_may_be_right_backwards() -> None:
    network = tiny(outputs=7)
    truth = torch.rand(2, 21, 8, 8)
    backwards = truth.unflatten(1, (7, 3)).flip(1).flatten(1, 2)
    assert float(supervised_loss(backwards, truth, network)) == 0.0
    assert float(supervised_loss(truth, truth, network)) == 0.0
    assert float(supervised_loss(backwards, truth, tiny(frames=7, outputs=7))) > 0.01


def test_the_rate_rises_and_falls_along_a_cosine() -> None:
    assert rate_share(0.025) == pytest.approx(0.5, abs=0.01)
    assert rate_share(0.05) > 0.99
    assert rate_share(0.5) == pytest.approx(0.5)
    assert rate_share(1.0) == 0.0


def test_a_rate_that_leads_astray_is_given_up_for_a_smaller_one() -> None:
    settings = quick(iterations=64, rate=0.3, labelled_batch=4, labelled_patches=40, held_out_patches=12)
    done = adapt(tiny(), [partly_blurred()], settings)
    assert done.accepted, done.reason
