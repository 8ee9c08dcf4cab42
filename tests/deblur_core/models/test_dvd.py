"""DBN of Deep Video Deblurring: its size, what it reads of five frames, its skips, and its constants after training."""

import io

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deblur_core.models.dvd import DeepVideoDeblurring


def small_network() -> DeepVideoDeblurring:
    """An eighth of the published width, its last layer no longer zero."""
    torch.manual_seed(0)
    network = DeepVideoDeblurring(width=8)
    nn.init.normal_(network.f6_2.weight, std=0.1)
    return network


def frames(height: int = 32, width: int = 48, batch: int = 1) -> Tensor:
    return torch.rand(batch, 15, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("width", "count", "gigamacs"), [(64, 15_300_406, 556.1), (56, 11_719_110, 429.1)])
def test_it_has_the_published_size_and_operations(width: int, count: int, gigamacs: float) -> None:
    network = DeepVideoDeblurring(width)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.zeros(1, 15, 720, 1280, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gigamacs, abs=0.1)


def test_its_weights_in_half_precision_stay_below_25_mib() -> None:
    halves = {name: tensor.half() for name, tensor in DeepVideoDeblurring().state_dict().items()}
    assert io.BytesIO(save(halves)).getbuffer().nbytes < 25 * 2**20


def test_it_asks_for_two_frames_on_either_side() -> None:
    needs = DeepVideoDeblurring(width=8).needs
    assert (needs.frames_before, needs.frames_after, needs.sharp_references) == (2, 2, 0)


def test_untrained_it_returns_the_middle_frame() -> None:
    assert torch.equal(DeepVideoDeblurring(width=8).eval()(frames()), frames()[:, 6:9])


@pytest.mark.parametrize("frame", range(5))
def test_every_frame_of_the_window_changes_the_correction(frame: int) -> None:
    network, x = small_network().eval(), frames()
    changed = x.clone()
    changed[:, 3 * frame : 3 * frame + 3] = 1.0 - x[:, 3 * frame : 3 * frame + 3]
    with torch.no_grad():
        before, after = (network(window) - window[:, 6:9] for window in (x, changed))
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize(("layer", "skip"), [("u1", "f2"), ("u2", "f1"), ("u3", "f0")])
def test_a_skip_is_added_before_the_activation(layer: str, skip: str) -> None:
    network, seen = small_network().eval(), {}
    for name in (skip, layer, f"{layer}.norm"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    with torch.no_grad():
        network(frames())
    assert torch.equal(seen[layer], torch.relu(seen[f"{layer}.norm"] + seen[skip]))
    assert seen[skip].abs().max() > 0


def test_a_gradient_reaches_every_parameter() -> None:
    network = small_network()
    (network(frames(batch=2)) - 0.5).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in network.parameters())


def test_after_training_a_window_gives_the_same_alone_as_in_a_batch_and_leaves_no_trace() -> None:
    network, x = small_network(), frames(batch=2)
    with torch.no_grad():
        network.train()(x)
        state = {name: value.clone() for name, value in network.state_dict().items()}
        assert torch.allclose(network.eval()(x)[:1], network(x[:1]), atol=1e-5)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_training_moves_the_statistics_towards_those_of_the_batch() -> None:
    network, x = small_network().train(), frames(batch=2)
    with torch.no_grad():
        convolved = network.f0.convolution(x)
        network(x)
    assert torch.allclose(network.f0.norm.running_mean, 0.1 * convolved.mean((0, 2, 3)), atol=1e-5)


def test_its_state_is_floats_alone_so_that_it_can_be_averaged() -> None:
    assert all(value.is_floating_point() for value in small_network().state_dict().values())
