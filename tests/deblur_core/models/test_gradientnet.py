"""The structure-guided U-Net: GradientNet's parts and its paper's ablations, the gradients it gives, its critic."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deblur_core.errors import SettingsError
from deblur_core.losses.wgan_gp import gradient_penalty
from deblur_core.models.gradient_blocks import (
    ChannelAttention,
    MultiBranchReuseBlock,
    RecurrentGradientConvolution,
)
from deblur_core.models.gradientnet import ABLATIONS, GradientGuidedUNet, PatchCritic, image_gradient

SMALL: Mapping[str, object] = {"width": 4, "gradient_channels": 16, "blocks": 2}


def described(**options: object) -> GradientGuidedUNet:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return GradientGuidedUNet(**options)  # type: ignore[arg-type]


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, height: int = 256, width: int = 256) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, height, width, device="meta"))
    return counter.get_total_flops() // 2


def awake(**options: object) -> GradientGuidedUNet:
    """A small network whose last layers are no longer zero."""
    torch.manual_seed(0)
    network = GradientGuidedUNet(**{**SMALL, **options})  # type: ignore[arg-type]
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return network


def frame(height: int = 32, width: int = 40, seed: int = 1) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_the_default_has_these_parameters_and_operations() -> None:
    network = described()
    assert parameters(network) == 1_880_617
    assert multiply_adds(network) == 16_057_037_312


def test_at_720p_it_costs_what_table_3_says() -> None:
    gflop = 2 * multiply_adds(described(), 720, 1280) / 1e9
    assert gflop == pytest.approx(446.98, rel=0.02)


def test_before_it_has_learnt_anything_the_blurred_frame_and_its_gradients_come_back() -> None:
    x = frame()
    restored, gradient = GradientGuidedUNet(**SMALL).forward_with_gradient(x)  # type: ignore[arg-type]
    assert gradient is not None
    assert torch.equal(restored, x)
    assert torch.equal(gradient, image_gradient(x))


def test_a_gradient_is_the_difference_to_the_next_pixel_rightwards_and_downwards() -> None:
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(5.0), indexing="ij")
    image = torch.stack((2.0 * columns, 3.0 * rows, columns + rows))[None]
    inside = image_gradient(image)[0, :, :-1, :-1]
    assert inside.shape == (6, 3, 4)
    assert torch.equal(inside.amin((1, 2)), torch.tensor([2.0, 0.0, 1.0, 0.0, 3.0, 1.0]))
    assert torch.equal(inside.amax((1, 2)), inside.amin((1, 2)))


def test_the_last_column_and_row_have_no_gradient_towards_what_is_not_there() -> None:
    gradient = image_gradient(frame())
    assert not gradient[:, :3, :, -1].any()
    assert not gradient[:, 3:, -1].any()


def test_picture_and_gradients_have_the_size_of_the_frame() -> None:
    restored, gradient = awake().forward_with_gradient(frame())
    assert gradient is not None
    assert restored.shape == (1, 3, 32, 40)
    assert gradient.shape == (1, 6, 32, 40)


def test_the_picture_alone_is_the_same_as_with_its_gradients() -> None:
    network, x = awake(), frame()
    assert torch.equal(network(x), network.forward_with_gradient(x)[0])


def test_what_is_learnt_of_the_gradients_guides_the_picture() -> None:
    network, x = awake(), frame()
    before = network(x)
    nn.init.zeros_(network.gradient_head.weight)
    assert (network(x) - before).abs().max() > 1e-4


def test_without_gradientnet_a_plain_unet_is_left_and_no_gradients_are_given() -> None:
    network = described(**ABLATIONS["w/o GradientNet"])
    assert parameters(network) == 216_867
    assert not [name for name in network.state_dict() if "gradient" in name or "rejoin" in name]
    assert awake(gradient_net=False).forward_with_gradient(frame())[1] is None


def test_without_rgcl_plain_convolutions_stand_in_its_place() -> None:
    network = described(**ABLATIONS["w/o RGCL"])
    assert not [module for module in network.modules() if isinstance(module, RecurrentGradientConvolution)]
    block = network.gradient_net.blocks[0] if network.gradient_net else None
    assert isinstance(block, MultiBranchReuseBlock)
    plain = [module for module in block.paths.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.kernel_size for layer in plain] == [(3, 3)] * 3


def test_without_mbrbs_one_path_is_left_of_three() -> None:
    def paths(network: GradientGuidedUNet) -> list[int]:
        return [len(module.paths) for module in network.modules() if isinstance(module, MultiBranchReuseBlock)]

    assert paths(described()) == [3] * 10
    assert paths(described(**ABLATIONS["w/o MBRBs"])) == [1] * 10


@pytest.mark.parametrize(
    ("row", "count", "operations"),
    [
        ("w/o RGCL", 2_107_057, 10_017_224_192),
        ("w/o MBRBs", 1_168_777, 8_675_011_072),
        ("w/o GradientNet", 216_867, 2_434_793_472),
        ("ours", 1_880_617, 16_057_037_312),
    ],
)
def test_the_rows_of_table_5_have_these_parameters_and_operations(row: str, count: int, operations: int) -> None:
    network = described(**ABLATIONS[row])
    assert (parameters(network), multiply_adds(network)) == (count, operations)


@pytest.mark.parametrize("options", ABLATIONS.values(), ids=ABLATIONS)
def test_a_gradient_reaches_every_parameter_through_the_picture_alone(options: Mapping[str, bool]) -> None:
    network = awake(**options)
    network(frame()).square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not silent


def response(recurrences: int) -> Tensor:
    """Where an RGCL without its attention answers to one pixel: bool [15, 15], the pixel in the middle."""
    torch.manual_seed(0)
    layer = RecurrentGradientConvolution(16, 4, recurrences)
    layer.attention = nn.Identity()  # type: ignore[assignment]
    still = torch.zeros(1, 16, 15, 15)
    touched = still.clone()
    touched[..., 7, 7] = 1.0
    return (layer(touched) - layer(still)).abs().amax((0, 1)) > 1e-7


def test_a_gradient_layer_looks_along_rows_and_columns() -> None:
    cross = torch.zeros(15, 15, dtype=torch.bool)
    cross[7, 6:9] = cross[6:9, 7] = True
    assert torch.equal(response(1), cross)


def test_each_turn_of_a_gradient_layer_looks_one_pixel_further() -> None:
    rows, columns = torch.meshgrid(torch.arange(15), torch.arange(15), indexing="ij")
    distance = (rows - 7).abs() + (columns - 7).abs()
    for turns in (2, 3):
        assert torch.equal(response(turns), distance <= turns)


def test_the_turns_of_a_gradient_layer_share_their_weights() -> None:
    assert parameters(described(recurrences=1)) == parameters(described(recurrences=3))


def test_channel_attention_weighs_whole_channels() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 32, 6, 7)
    weights = ChannelAttention(32, 4)(x) / x
    assert torch.allclose(weights, weights[..., :1, :1].expand_as(weights), atol=1e-5)
    assert 0.0 < weights.min() < weights.max() < 1.0


def test_a_block_joins_its_three_paths_and_adds_what_came_in() -> None:
    torch.manual_seed(0)
    block = MultiBranchReuseBlock(16, 4, 3, True, 3)
    x = torch.randn(1, 16, 8, 9)
    stacked = block.attention(torch.cat([path(x) for path in block.paths], 1))
    assert stacked.shape[1] == 48
    assert torch.allclose(block(x), block.refine(F.relu(block.fuse(stacked))) + x)


def test_the_critic_scores_patches_of_70_pixels_eight_pixels_apart() -> None:
    with torch.device("meta"):
        critic = PatchCritic()
        scores = critic(torch.zeros(1, 3, 256, 192))
    assert parameters(critic) == 2_763_841
    assert scores.shape == (1, 1, 30, 22)
    reach = 1
    for layer in reversed([layer for layer in critic.layers if isinstance(layer, nn.Conv2d)]):
        reach = (reach - 1) * layer.stride[0] + layer.kernel_size[0]
    assert reach == 70


def test_the_scores_of_the_critic_are_no_probabilities() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(4)
    last = critic.layers[-1]
    assert isinstance(last, nn.Conv2d)
    nn.init.constant_(last.bias, -3.0)  # type: ignore[arg-type]
    assert critic(frame()).mean() < -1.0


def test_the_gradient_penalty_teaches_every_weight_of_the_critic() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(4)
    gradient_penalty(critic, frame(seed=1), frame(seed=2)).backward()
    kernels = [name for name, value in critic.named_parameters() if name.endswith("weight")]
    taught = [name for name, value in critic.named_parameters() if value.grad is not None and value.grad.any()]
    assert set(kernels) <= set(taught)


@pytest.mark.parametrize("option", ["width", "gradient_channels", "blocks", "recurrences"])
def test_an_option_out_of_range_is_refused_in_one_line(option: str) -> None:
    with pytest.raises(SettingsError, match=f"{option} 0.* must all be at least 1"):
        described(**{option: 0})
