"""The spatially and temporally variant RNN: what Tables 1 to 3 of its paper say, and how far a frame is heard."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deblur_core.errors import SettingsError
from deblur_core.models.st_variant_rnn import ABLATIONS, VARIANTS, STVariantRNN, TemporalBlock
from deblur_core.models.variant_cells import ConvGRU, ConvLSTM, TemporalConvolutions, WeightGenerator

NARROW = 0.25
FIGURE_7: dict[str, Mapping[str, object]] = {
    "d": {"spatial_cells": "none"},
    "e": {"temporal_cells": "none"},
    "no temporal block": {"temporal_cells": "none", "temporal_generator": False},
    "nothing variant": {"temporal_generator": False, "spatial_generator": False},
}


def described(**options: object) -> STVariantRNN:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return STVariantRNN(**options)  # type: ignore[arg-type]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: STVariantRNN, side: int = 256) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, network.input_channels, side, side, device="meta"))
    return counter.get_total_flops() // 2


def awake(**options: object) -> STVariantRNN:
    """A small network whose last layer is no longer zero."""
    torch.manual_seed(0)
    network = STVariantRNN(**{"width": NARROW, **options})  # type: ignore[arg-type]
    nn.init.normal_(network.outro.weight, std=0.1)
    return network


def frames(count: int = 5, side: int = 32, seed: int = 1) -> Tensor:
    return torch.rand(1, 3 * count, side, side, generator=torch.Generator().manual_seed(seed))


def test_the_default_has_these_parameters_and_operations() -> None:
    network = described()
    assert parameters(network) == 11_585_537
    assert multiply_adds(network) == 53_735_718_912


def test_the_default_is_the_widest_in_eighths_whose_weights_stay_below_25_mib() -> None:
    most = 25 * 2**20
    assert 2 * parameters(described()) < most < 2 * parameters(described(width=1.0))


def test_at_the_published_width_the_generators_are_those_of_table_1() -> None:
    network = described(width=1.0)
    middle = [128, 128, 256, 256, 256, 512, 512, 256, 128, 128, 256]
    temporal, spatial = network.temporal.generator, network.spatial.generator
    assert isinstance(temporal, WeightGenerator)
    assert isinstance(spatial, WeightGenerator)
    assert [layer.out_channels for layer in temporal.layers] == [16, 96, 96, *middle]
    assert [layer.out_channels for layer in spatial.layers] == [64, 64, *middle]
    for generator in (temporal, spatial):
        assert generator.steps.count("halve") == 3
    x = torch.zeros(1, 5, 64, 48, device="meta")
    assert temporal(x).shape == (1, 96, 64, 48)
    assert spatial(x).shape == (1, 128, 32, 24)


def test_the_maps_of_a_generator_differ_with_the_frames_and_stay_in_the_range_of_a_state() -> None:
    torch.manual_seed(0)
    generator = STVariantRNN(width=NARROW).temporal.generator
    assert generator is not None
    nn.init.normal_(generator.last.weight, std=100.0)
    one, other = generator(frames(seed=1)[:, :5]), generator(frames(seed=2)[:, :5])
    assert 0.5 < one.abs().max() <= 1.0
    assert (one - other).abs().mean() > 0.1


def test_before_it_has_learnt_anything_the_frames_come_back_as_they_are() -> None:
    x = frames()
    assert torch.equal(STVariantRNN(width=NARROW)(x), x)


def test_it_changes_brightness_and_leaves_the_colours_of_every_frame() -> None:
    x = frames()
    y = awake()(x)
    assert y.shape == x.shape
    assert (y - x).abs().max() > 0.01
    red_less_green = x[:, 0::3] - x[:, 1::3]
    blue_less_green = x[:, 2::3] - x[:, 1::3]
    assert torch.allclose(y[:, 0::3] - y[:, 1::3], red_less_green, atol=1e-5)
    assert torch.allclose(y[:, 2::3] - y[:, 1::3], blue_less_green, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_takes_and_gives_its_frames_and_its_cells_see_theirs(name: str) -> None:
    count, seen = int(name[1]), int(name[3])
    network = awake(**VARIANTS[name])
    assert (network.frames, network.outputs, network.input_channels) == (count, count, 3 * count)
    x = frames(count)
    assert network(x).shape == x.shape
    assert all(reach.stop - reach.start == seen for reach in network.temporal.reaches)


@pytest.mark.parametrize(
    ("count", "seen", "starts"), [(5, 3, [0, 1, 2]), (5, 1, [1, 2, 3]), (5, 5, [0, 0, 0]), (7, 1, [2, 3, 4])]
)
def test_successive_cells_look_one_frame_further_around_the_middle(count: int, seen: int, starts: list[int]) -> None:
    block = TemporalBlock(count, seen, "gru", generator=False, width=NARROW)
    assert [reach.start for reach in block.reaches] == starts


def test_the_default_is_i5t3() -> None:
    network = described()
    assert (network.frames, network.outputs) == (5, 5)
    assert multiply_adds(described(**VARIANTS["I5T3"]), 64) == multiply_adds(network, 64)


@pytest.mark.parametrize("generator", [True, False])
def test_the_last_cell_hears_of_the_first_frame(generator: bool) -> None:
    torch.manual_seed(0)
    block = TemporalBlock(5, 3, "gru", generator=generator, width=NARROW)
    x = frames()[:, :5]
    changed = x.clone()
    changed[:, 0] = 1.0 - changed[:, 0]
    last = slice(64, 96)  # its window begins at the third frame
    assert (block(x)[:, last] - block(changed)[:, last]).abs().max() > 1e-3


@pytest.mark.parametrize(("generator", "heard"), [(True, True), (False, False)])
def test_only_the_generator_tells_the_first_cell_of_the_last_frame(generator: bool, heard: bool) -> None:
    torch.manual_seed(0)
    block = TemporalBlock(5, 3, "gru", generator=generator, width=NARROW)
    x = frames()[:, :5]
    changed = x.clone()
    changed[:, 4] = 1.0 - changed[:, 4]
    assert bool((block(x)[:, :32] - block(changed)[:, :32]).abs().max() > 1e-3) == heard


def test_the_first_frame_reaches_the_last_one_that_comes_out() -> None:
    network, x = awake(), frames()
    changed = x.clone()
    changed[:, :3] = 1.0 - changed[:, :3]
    assert (network(x)[:, 12:] - network(changed)[:, 12:]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (ABLATIONS["3D-sub"], ["temporal.cells", "temporal.generator"]),
        (ABLATIONS["Spatial-sub"], ["spatial.generator"]),
        (ABLATIONS["Temporal-sub"], ["temporal.generator"]),
        (FIGURE_7["d"], ["spatial.cells"]),
        (FIGURE_7["e"], ["temporal.cells"]),
        (FIGURE_7["no temporal block"], ["temporal."]),
    ],
)
def test_an_ablation_removes_its_part_and_nothing_else(options: Mapping[str, object], gone: list[str]) -> None:
    whole = set(described().state_dict())
    left = set(described(**options).state_dict())
    missing = {name for name in whole if any(name.startswith(part) for part in gone)}
    assert missing
    assert whole - missing <= left
    assert not missing & left


def test_3d_sub_puts_convolutions_over_frames_in_place_of_the_temporal_block() -> None:
    network = described(**ABLATIONS["3D-sub"])
    assert isinstance(network.temporal.convolutions, TemporalConvolutions)
    assert network.spatial.cells is not None
    assert all(isinstance(cell, ConvGRU) for cell in network.spatial.cells)


def test_lstm_sub_differs_from_3d_sub_in_the_cells_of_the_spatial_block_alone() -> None:
    network = described(**ABLATIONS["LSTM-sub"])
    assert network.spatial.cells is not None
    assert all(isinstance(cell, ConvLSTM) for cell in network.spatial.cells)
    other = described(**ABLATIONS["3D-sub"])
    cells = parameters(network.spatial.cells) - parameters(other.spatial.cells or nn.ModuleList())
    assert parameters(network) - parameters(other) == cells


@pytest.mark.parametrize("options", [*ABLATIONS.values(), *FIGURE_7.values()])
def test_a_gradient_reaches_every_parameter(options: Mapping[str, object]) -> None:
    network = awake(**options)
    network(frames()).square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not silent


def test_a_gru_does_equations_3_to_6() -> None:
    torch.manual_seed(0)
    cell = ConvGRU(3, 4)
    x, state = torch.randn(1, 3, 6, 7), torch.randn(1, 4, 6, 7)
    (w_z, u_z), (w_r, u_r), (w, u) = (
        (kernel[:, :3], kernel[:, 3:]) for kernel in (*cell.gates.weight.chunk(2), cell.candidate.weight)
    )
    assert cell.gates.bias is not None
    b_z, b_r = cell.gates.bias.chunk(2)
    z = torch.sigmoid(F.conv2d(x, w_z, b_z, padding=1) + F.conv2d(state, u_z, padding=1))
    r = torch.sigmoid(F.conv2d(x, w_r, b_r, padding=1) + F.conv2d(state, u_r, padding=1))
    candidate = torch.tanh(F.conv2d(x, w, cell.candidate.bias, padding=1) + F.conv2d(r * state, u, padding=1))
    assert torch.allclose(cell(x, state), (1 - z) * state + z * candidate, atol=1e-5)


def test_an_lstm_that_keeps_all_writes_nothing_and_shows_all_shows_its_state() -> None:
    cell = ConvLSTM(2, 3)
    nn.init.zeros_(cell.gates.weight)
    assert cell.gates.bias is not None
    with torch.no_grad():
        cell.gates.bias.copy_(torch.tensor([50.0] * 3 + [-50.0] * 3 + [50.0] * 3 + [1.0] * 3))
    state = torch.randn(1, 3, 4, 4)
    assert torch.allclose(cell(torch.randn(1, 2, 4, 4), state), torch.tanh(state), atol=1e-6)


def test_convolutions_over_frames_are_3d_convolutions() -> None:
    torch.manual_seed(0)
    block = TemporalConvolutions(5, 12)
    x = torch.randn(2, 5, 8, 9)
    around = block.around.weight[:, None]  # [out, 1, 3 frames, 3, 3]
    each = F.relu(F.conv3d(x[:, None], around, block.around.bias, padding=1))
    joining = block.joining.weight.unflatten(1, (5, 4)).transpose(1, 2)  # [out, channels, 5 frames, 3, 3]
    expected = F.relu(F.conv3d(each, joining, block.joining.bias, padding=(0, 1, 1)))[:, :, 0]
    assert torch.allclose(block(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 4}, "frames is 4"),
        ({"frames": 0}, "frames is 0"),
        ({"frames": 3, "cell_frames": 5}, "cell_frames is 5, but must be 1 to 3"),
        ({"width": 0.0}, "width is 0.0"),
        ({"temporal_cells": "lstm"}, "temporal_cells 'lstm' is unknown"),
        ({"spatial_cells": "3d"}, "spatial_cells '3d' is unknown"),
    ],
)
def test_an_option_out_of_range_is_refused_in_one_line(options: Mapping[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        described(**options)
