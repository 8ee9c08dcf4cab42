"""The reblur loss on unlabelled footage: which places it is computed on, and what it rewards."""

import numpy as np
import pytest
import torch
from torch import Tensor

from deblur_core.adaptation.consistency import ReblurConsistency, Run
from deblur_core.adaptation.triples import Triples, draw_triples
from deblur_core.models.flownets import FlowNetS
from deblur_core.models.network import RestorationNetwork
from deblur_core.reblur.dis_flow import dis_flow
from deblur_core.reblur.formation import BlurFormation, Flow
from tests.deblur_core.adaptation.footage import TinyNetwork, panned, partly_blurred


def drawn(
    network: RestorationNetwork, frames: int = 3, steps_pixels: int = 6, across: bool = False
) -> tuple[Triples, Run]:
    """Two places of a pan, and a network that restores them perfectly: it looks the truth up."""
    made = panned(steps_pixels, across=across)
    triples, truth = (
        draw_triples([each], 2, network, 128, frames, 0.5, np.random.default_rng(0))
        for each in (made.footage, made.truth)
    )
    assert triples is not None
    assert truth is not None
    known = {each.numpy().tobytes(): true for each, true in zip(_frames(triples), _frames(truth), strict=True)}

    def perfect(x: Tensor) -> Tensor:
        return torch.stack([known[(each * 255).round().byte().numpy().tobytes()].float() / 255 for each in x])

    return triples, perfect


def _frames(triples: Triples) -> list[Tensor]:
    return [frame for place in triples.inputs for frame in place]


def consistency(network: RestorationNetwork, flow: Flow = dis_flow) -> ReblurConsistency:
    return ReblurConsistency(network, BlurFormation("warping"), flow)


@pytest.mark.parametrize("frames", [2, 3])
def test_a_perfect_restorer_is_consistent_and_one_that_does_nothing_is_not(frames: int) -> None:
    network = TinyNetwork()
    triples, perfect = drawn(network, frames)
    good = consistency(network).loss(perfect, triples)
    lazy = consistency(network).loss(lambda x: x, triples)
    assert float(good) < 0.25 * float(lazy)


def test_blur_by_the_motion_is_explained_and_its_exposure_found() -> None:
    network = TinyNetwork()
    triples, perfect = drawn(network)
    for run in (perfect, lambda x: x):
        judged, explained, _ = consistency(network).judge(run, triples)
        assert explained.tolist() == [True, True]
        assert judged.exposure.tolist() == [0.5, 0.5]


def test_only_what_is_not_yet_restored_teaches() -> None:
    network = TinyNetwork()
    triples, perfect = drawn(network, steps_pixels=10)
    assert consistency(network).judge(lambda x: x, triples)[2].tolist() == [True, True]
    assert consistency(network).judge(perfect, triples)[2].tolist() == [False, False]


def test_a_shake_that_the_neighbours_do_not_show_is_not_explained() -> None:
    network = TinyNetwork()
    triples, perfect = drawn(network, across=True)
    _, explained, teaching = consistency(network).judge(perfect, triples)
    assert not explained.any()
    assert not teaching.any()


def test_gradients_reach_the_neighbours_only_through_a_flow_that_passes_them_on() -> None:
    network = TinyNetwork()
    triples, _ = drawn(network)
    asked: list[bool] = []

    def run(x: Tensor) -> Tensor:
        asked.append(torch.is_grad_enabled())
        return network(x)

    consistency(network).loss(run, triples).backward()
    assert asked == [True, False]
    asked.clear()
    flow = FlowNetS(width=2)
    consistency(network, flow).loss(run, triples).backward()
    assert asked == [True, True]
    assert all(each.grad is not None for each in flow.parameters())


def test_a_network_that_gives_its_whole_window_runs_once() -> None:
    network = TinyNetwork(frames=5, outputs=5)
    triples = draw_triples([partly_blurred()], 3, network, 80, 3, 0.5, np.random.default_rng(1))
    assert triples is not None
    assert triples.inputs.shape == (3, 1, 15, 80, 80)
    calls: list[int] = []

    def run(x: Tensor) -> Tensor:
        calls.append(len(x))
        return network(x)

    consistency(network).loss(run, triples).backward()
    assert calls == [3]


def test_neighbours_that_are_sharp_stay_as_they_were_recorded() -> None:
    network = TinyNetwork()
    footage = partly_blurred(frames=9, blurred=[4])
    triples = draw_triples([footage], 2, network, 80, 3, 0.5, np.random.default_rng(2))
    assert triples is not None
    assert triples.sharp.all()
    calls: list[int] = []

    def run(x: Tensor) -> Tensor:
        calls.append(len(x))
        return network(x)

    consistency(network).loss(run, triples)
    assert calls == [2]


@pytest.mark.parametrize(("frames", "targets"), [(3, {3, 4}), (2, {0, 3, 4})])
def test_a_place_needs_the_neighbours_that_the_form_asks_for(frames: int, targets: set[int]) -> None:
    footage = partly_blurred(frames=6, blurred=[0, 3, 4, 5])
    triples = draw_triples([footage], 40, TinyNetwork(), 80, frames, 1.0, np.random.default_rng(3))
    assert triples is not None
    assert triples.recorded.shape[1] == frames
    found = set()
    for recorded in triples.recorded[:, 0]:
        same = [np.array_equal(recorded.permute(1, 2, 0).numpy(), frame[:80, x : x + 80]) for frame in footage.frames
                for x in range(17)]  # fmt: skip
        found.add(same.index(True) // 17)
    assert found == targets


def test_without_a_blurred_frame_there_is_no_place() -> None:
    assert draw_triples([partly_blurred(blurred=[])], 4, TinyNetwork(), 64, 3, 1.0, np.random.default_rng(4)) is None


def test_without_a_sharp_frame_there_is_no_reference_and_nothing_is_explained() -> None:
    network = TinyNetwork()
    footage = partly_blurred(frames=8, blurred=range(8))
    triples = draw_triples([footage], 2, network, 80, 3, 1.0, np.random.default_rng(5))
    assert triples is not None
    assert not triples.reference[:, 3].any()
    assert not consistency(network).judge(lambda x: x, triples)[1].any()
