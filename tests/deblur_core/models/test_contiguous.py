"""Seven frames out of one: what Tables 1 and 2 of the contiguous loss's paper say, and the luminance form."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deblur_core.errors import SettingsError
from deblur_core.models.contiguous import MOMENTS, ResidualBlock, SequenceDiscriminator, SequenceResNet


def described(**options: object) -> SequenceResNet:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return SequenceResNet(**options)  # type: ignore[arg-type]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, side: int = 256) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, side, side, device="meta"))
    return counter.get_total_flops() // 2


def awake(**options: object) -> SequenceResNet:
    """A small network whose last layer is no longer zero."""
    torch.manual_seed(0)
    network = SequenceResNet(**{"width": 8, **options})  # type: ignore[arg-type]
    nn.init.normal_(network.outro.weight, std=0.05)
    return network


def frame(height: int = 24, width: int = 28, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("options", "count", "operations"),
    [
        ({}, 1_756_053, 114_935_463_936),
        ({"luminance": True}, 1_723_495, 112_802_660_352),
        ({"unshuffle": 2}, 1_902_564, 31_133_270_016),
    ],
)
def test_each_form_has_these_parameters_and_operations(options: dict[str, object], count: int, operations: int) -> None:
    network = described(**options)
    assert (parameters(network), multiply_adds(network)) == (count, operations)


def test_the_layers_are_those_of_table_1() -> None:
    layers = [module for module in described().modules() if isinstance(module, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [16, *[64] * 27, 256, 256, 21]
    assert {layer.kernel_size for layer in layers} == {(3, 3)}
    assert {layer.stride for layer in layers} == {(1, 1)}


def test_one_frame_goes_in_and_seven_come_out() -> None:
    network = awake()
    assert (network.frames, network.outputs, network.input_channels) == (1, MOMENTS, 3)
    y = network(frame())
    assert y.shape == (1, 21, 24, 28)
    moments = y.unflatten(1, (MOMENTS, 3))
    assert all((moments[:, number] - moments[:, 3]).abs().max() > 1e-3 for number in range(7) if number != 3)


@pytest.mark.parametrize("luminance", [False, True])
def test_before_it_has_learnt_anything_every_moment_is_the_blurred_frame(luminance: bool) -> None:
    x = frame()
    y = SequenceResNet(width=8, luminance=luminance)(x)
    assert torch.equal(y, x.repeat(1, 7, 1, 1))


def test_the_luminance_form_gives_seven_lumas_and_carries_the_chrominance_over() -> None:
    network, x = awake(luminance=True), frame()
    assert network.enter.in_channels == 1
    assert network.outro.out_channels == 7
    change = (network(x) - x.repeat(1, 7, 1, 1)).unflatten(1, (7, 3))
    assert change.abs().max() > 1e-2
    assert torch.allclose(change, change[:, :, :1].expand_as(change), atol=1e-6)


def test_in_colour_the_chrominance_changes_too() -> None:
    network, x = awake(), frame()
    change = (network(x) - x.repeat(1, 7, 1, 1)).unflatten(1, (7, 3))
    assert (change - change[:, :, :1]).abs().max() > 1e-2


def test_layer_2_is_added_again_after_the_last_residual_block() -> None:
    network = awake()
    for block in network.blocks:
        assert isinstance(block, ResidualBlock)
        nn.init.zeros_(block.second.weight)
        nn.init.zeros_(block.second.bias)  # type: ignore[arg-type]
    seen: list[Tensor] = []
    network.widen.register_forward_hook(lambda module, given, result: seen.append(torch.relu(result)))
    network.gather.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network(frame())
    layer_2, gathered = seen
    assert torch.allclose(gathered, 2.0 * layer_2)


def test_a_residual_block_adds_to_what_came_in_and_ends_without_an_activation() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4)
    x = torch.randn(1, 4, 6, 6)
    added = block(x) - x
    assert torch.allclose(added, block.second(torch.relu(block.first(x))), atol=1e-6)
    assert added.min() < 0.0


@pytest.mark.parametrize(("unshuffle", "radius"), [(1, 31), (2, 63)])
def test_a_pixel_depends_on_what_is_within_its_radius_alone(unshuffle: int, radius: int) -> None:
    network = awake(width=4, unshuffle=unshuffle).double()
    side = 2 * radius + 12
    x = frame(side, 8).double()
    touched = x.clone()
    middle = side // 2
    touched[..., middle, :] += 0.5
    rows = torch.nonzero((network(touched) - network(x)).abs().amax((0, 1, 3)))
    assert int(rows.max()) - middle <= radius
    assert middle - int(rows.min()) <= radius
    assert radius <= network.tile_overlap


def test_at_half_size_four_pixels_stand_in_one() -> None:
    network = awake(unshuffle=2)
    assert network.size_multiple == 2
    assert network.enter.in_channels == 12
    assert network(frame()).shape == (1, 21, 24, 28)


@pytest.mark.parametrize("luminance", [False, True])
@pytest.mark.parametrize("unshuffle", [1, 2])
def test_a_gradient_reaches_every_parameter(luminance: bool, unshuffle: int) -> None:
    network = awake(luminance=luminance, unshuffle=unshuffle)
    network(frame()).square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not silent


def test_the_discriminator_is_that_of_table_2() -> None:
    with torch.device("meta"):
        judge = SequenceDiscriminator()
    layers = [module for module in judge.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64] * 2 + [128] * 4 + [256] * 5 + [512] * 5
    assert len([module for module in judge.modules() if isinstance(module, nn.BatchNorm2d)]) == 16
    connected = [module for module in judge.modules() if isinstance(module, nn.Linear)]
    assert [layer.out_features for layer in connected] == [4096, 4096, 2]
    assert parameters(judge) == 32_725_442
    assert multiply_adds(judge, 128) == 6_388_981_760


def test_the_discriminator_judges_frames_of_any_size_by_a_probability() -> None:
    torch.manual_seed(0)
    judge = SequenceDiscriminator(width=4, units=8)
    for height, width in ((32, 32), (33, 50)):
        x = frame(height, width, batch=2)
        probability = judge.probability(x)
        assert probability.shape == (2,)
        assert torch.allclose(probability, judge(x).softmax(1)[:, 1])
        assert 0.0 < probability.min() <= probability.max() < 1.0


def test_the_discriminator_can_judge_lumas() -> None:
    assert SequenceDiscriminator(channels=1, width=4, units=8)(frame(32, 32)[:, :1]).shape == (1, 2)


def test_a_gradient_reaches_every_parameter_of_the_discriminator_and_the_frame() -> None:
    torch.manual_seed(0)
    judge = SequenceDiscriminator(width=4, units=8)
    x = frame(64, 64, batch=2).requires_grad_()
    nn.functional.cross_entropy(judge(x), torch.tensor([0, 1])).backward()
    silent = [name for name, value in judge.named_parameters() if value.grad is None or not value.grad.any()]
    assert not silent
    assert x.grad is not None
    assert x.grad.any()


@pytest.mark.parametrize("option", ["width", "blocks", "unshuffle"])
def test_an_option_out_of_range_is_refused_in_one_line(option: str) -> None:
    with pytest.raises(SettingsError, match=f"{option} 0.* must all be at least 1"):
        described(**{option: 0})
