"""DeblurNet's generator, critic and selector: what Tables 1 to 3 count, how layers are wired, what changes nothing."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deblur_core.models.deblurnet import (
    DeblurNetCritic,
    DeblurNetGenerator,
    DeblurNetSelectorNetwork,
    ResidualBlock,
)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def gigaflops(network: nn.Module, height: int, width: int) -> float:
    """Two operations a multiply-add; nothing is computed."""
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.zeros(1, 3, height, width, device="meta"))
    return counter.get_total_flops() / 1e9


def small_generator(dropout: float = 0.5, pair: bool = False) -> DeblurNetGenerator:
    """Three blocks of 16 channels, its last layer no longer zero."""
    torch.manual_seed(0)
    generator = DeblurNetGenerator(channels=16, blocks=3, dropout=dropout, pair=pair)
    nn.init.normal_(generator.to_rgb.weight, std=0.1)
    return generator


def picture(height: int = 48, width: int = 64, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_generator_takes_the_operations_of_the_paper() -> None:
    assert gigaflops(DeblurNetGenerator(), 720, 1280) == pytest.approx(528.9, abs=0.1)
    assert gigaflops(DeblurNetGenerator(), 720, 1280) == pytest.approx(527.64, rel=0.003)


def test_layers_33_and_34_would_take_a_sixteenth_more() -> None:
    added = gigaflops(DeblurNetGenerator(pair=True), 720, 1280) - gigaflops(DeblurNetGenerator(), 720, 1280)
    assert added == pytest.approx(33.97, abs=0.01)


def test_the_generator_has_the_layers_of_table_1() -> None:
    generator = DeblurNetGenerator()
    convolutions = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.kernel_size[0], layer.out_channels) for layer in convolutions[:2]] == [(7, 16), (5, 64)]
    assert [(layer.kernel_size[0], layer.out_channels) for layer in convolutions[2:32]] == [(3, 64)] * 30
    assert [(layer.kernel_size[0], layer.out_channels) for layer in convolutions[32:35]] == [(1, 64)] * 3
    assert parameters(generator) == 1_146_867


def test_an_untrained_generator_returns_its_input() -> None:
    assert torch.equal(DeblurNetGenerator(blocks=1).eval()(picture()), picture())


@pytest.mark.parametrize("pair", [False, True])
def test_a_gradient_reaches_every_parameter_of_the_generator(pair: bool) -> None:
    generator = small_generator(pair=pair)
    (generator(picture(batch=2)) - 0.5).square().mean().backward()
    without = [
        name for name, value in generator.named_parameters() if value.grad is None or not value.grad.abs().max() > 0
    ]
    assert not without


def test_the_input_is_added_to_the_output() -> None:
    generator, seen = small_generator().eval(), []
    generator.to_rgb.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert torch.equal(generator(picture()), picture() + seen[0])


def test_the_long_skip_carries_layer_2_and_the_last_block_to_layer_36() -> None:
    generator, seen = small_generator().eval(), {}

    def keep(name: str) -> None:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = (inputs[0], output)

        generator.get_submodule(name).register_forward_hook(hook)

    for name in ("layer2", "blocks", "layer36", "layer37"):
        keep(name)
    generator(picture())
    carried = torch.relu(seen["layer2"][1]) + seen["blocks"][1]
    assert torch.allclose(seen["layer37"][0], torch.relu(seen["layer36"][1] + carried), atol=1e-5)
    assert carried.abs().max() > 0


def test_a_block_adds_its_correction_to_its_input() -> None:
    block = ResidualBlock(8, dropout=0.5).eval()
    x = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(x), x + block.correction(x))
    assert block.correction(x).abs().max() > 0


def test_a_blocks_correction_does_not_depend_on_the_contrast_of_its_input() -> None:
    block = ResidualBlock(8, dropout=0.5).eval()
    x = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(block.correction(7.0 * x), block.correction(x), atol=1e-3)


def test_dropout_acts_in_training_alone() -> None:
    generator = small_generator()
    with torch.no_grad():
        assert not torch.equal(generator.train()(picture()), generator(picture()))
        assert torch.equal(generator.eval()(picture()), generator(picture()))


def test_half_of_the_values_after_a_blocks_first_convolution_are_dropped() -> None:
    block, seen = ResidualBlock(32, dropout=0.5), []
    block.dropout.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    block(torch.randn(1, 32, 24, 24, generator=torch.Generator().manual_seed(0)))
    before, after = seen[0]
    assert (after[before > 0] == 0).float().mean() == pytest.approx(0.5, abs=0.02)


def test_the_critic_has_the_layers_of_table_2() -> None:
    critic = DeblurNetCritic()
    convolutions = [layer for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64] * 2 + [128] * 3 + [256] * 4 + [512] * 5
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    linear = [layer.out_features for layer in critic.modules() if isinstance(layer, nn.Linear)]
    assert linear == [4096, 4096, 1]
    assert parameters(critic) == 31_975_617
    assert gigaflops(critic, 128, 128) == pytest.approx(10.36, abs=0.01)


@pytest.mark.parametrize("size", [(64, 64), (64, 91), (96, 80)])
def test_the_critic_scores_patches_of_any_size_from_64(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    scores = DeblurNetCritic()(picture(*size, batch=2))
    assert scores.shape == (2,) and bool(torch.isfinite(scores).all())


def test_the_critic_refuses_patches_below_64_pixels() -> None:
    with pytest.raises(ValueError, match=r"63 x 64 are too small, give 64 or more"):
        DeblurNetCritic()(picture(63, 64))


def test_a_score_does_not_depend_on_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    critic = DeblurNetCritic().eval()
    x = picture(64, 64, batch=2)
    with torch.no_grad():
        assert torch.allclose(critic(x)[0], critic(x[:1])[0], atol=1e-5)


def test_the_gradient_penalty_reaches_every_weight_of_the_critic() -> None:
    torch.manual_seed(0)
    critic, x = DeblurNetCritic(), picture(64, 64).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    # Of the score too: a bias moves the score, but no slope.
    ((slope.norm() - 1.0).square() + critic(x).sum()).backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in critic.parameters())


def test_the_selector_has_the_layers_of_table_3() -> None:
    selector = DeblurNetSelectorNetwork()
    convolutions = [layer for layer in selector.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64] * 2 + [128] * 4 + [512] * 3
    assert [layer.kernel_size[0] for layer in convolutions] == [5] * 2 + [3] * 7
    assert sum(layer.stride == (2, 2) for layer in convolutions) == 4
    assert [(layer.in_features, layer.out_features) for layer in (selector.layer12, selector.layer13)] == [
        (4096, 2),
        (2, 2),
    ]
    assert parameters(selector) == 5_940_488


def test_selecting_costs_a_quarter_of_restoring_at_full_size() -> None:
    assert gigaflops(DeblurNetSelectorNetwork(), 720, 1280) == pytest.approx(128.23, abs=0.01)
    assert gigaflops(DeblurNetSelectorNetwork(), 360, 640) == pytest.approx(32.27, abs=0.01)


def test_the_first_and_the_last_convolution_of_the_selector_are_not_normalised() -> None:
    layers = [type(layer).__name__ for layer in DeblurNetSelectorNetwork().convolutions]
    followed = [after == "InstanceNorm" for layer, after in pairwise(layers) if layer == "Conv2d"]
    assert followed == [False] + [True] * 7 + [False]


@pytest.mark.parametrize(
    ("frame", "looked_at"),
    [((720, 1280), (360, 640)), ((1080, 1920), (360, 640)), ((240, 320), (240, 320)), ((40, 90), (64, 90))],
)
def test_the_selector_shrinks_large_frames_and_never_enlarges_but_tiny_ones(
    frame: tuple[int, int], looked_at: tuple[int, int]
) -> None:
    assert DeblurNetSelectorNetwork().input_size(*frame) == looked_at


def test_the_selector_gives_a_logit_for_each_frame_of_any_size() -> None:
    torch.manual_seed(0)
    selector = DeblurNetSelectorNetwork().eval()
    selector.longest_side = 96
    with torch.no_grad():
        for height, width in ((70, 130), (33, 47), (96, 96)):
            logits = selector.blur_logits(picture(height, width, batch=2))
            assert logits.shape == (2,) and bool(torch.isfinite(logits).all())


def test_a_blur_logit_is_how_far_blurred_leads_over_sharp() -> None:
    torch.manual_seed(0)
    selector, x = DeblurNetSelectorNetwork().eval(), picture(64, 80)
    with torch.no_grad():
        outputs = selector(x)
        expected = torch.softmax(outputs, dim=1)[:, 1]
        assert torch.allclose(torch.sigmoid(selector.blur_logits(x)), expected)


def test_a_gradient_reaches_every_parameter_of_the_selector() -> None:
    torch.manual_seed(0)
    selector = DeblurNetSelectorNetwork()
    selector.blur_logits(picture(64, 80)).sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in selector.parameters())


def test_the_selector_can_learn_to_tell_blur() -> None:
    torch.manual_seed(0)
    selector = DeblurNetSelectorNetwork()
    sharp = (picture(64, 64, batch=2) > 0.5).float()
    frames = torch.cat([sharp, nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)])
    labels = torch.arange(2.0).repeat_interleave(2)
    optimiser = torch.optim.Adam(selector.parameters(), 1e-4)
    for _ in range(4):
        loss = nn.functional.binary_cross_entropy_with_logits(selector.blur_logits(frames), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.equal(selector.blur_logits(frames) > 0, labels > 0)
