"""DeblurGAN's generator: its size, how it is wired, and what it does not change."""

import io

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deblur_core.models.deblurgan import DeblurGANGenerator, ReflectedResidualBlock


def small_generator(dropout: float = 0.5) -> DeblurGANGenerator:
    """Two blocks at a quarter of the published width, its last layer no longer zero."""
    torch.manual_seed(0)
    generator = DeblurGANGenerator(width=16, blocks=2, dropout=dropout)
    nn.init.normal_(generator.outro.weight, std=0.02)
    return generator


def picture(height: int = 48, width: int = 64, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_it_has_the_published_size_and_operations() -> None:
    generator = DeblurGANGenerator()
    assert sum(parameter.numel() for parameter in generator.parameters()) == 11_372_931
    with FlopCounterMode(display=False) as counter:
        generator.to("meta")(torch.zeros(1, 3, 720, 1280, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(696.8, abs=0.1)


def test_its_weights_in_half_precision_stay_below_25_mib() -> None:
    halves = {name: tensor.half() for name, tensor in DeblurGANGenerator().state_dict().items()}
    assert io.BytesIO(save(halves)).getbuffer().nbytes < 25 * 2**20


def test_nine_residual_blocks_of_256_channels_lie_between_two_halvings_and_two_doublings() -> None:
    generator, shapes = DeblurGANGenerator().to("meta"), []
    for block in generator.blocks:
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    out = generator(torch.zeros(1, 3, 64, 96, device="meta"))
    assert shapes == [(1, 256, 16, 24)] * 9
    assert out.shape == (1, 3, 64, 96)


def test_untrained_it_returns_its_input() -> None:
    assert torch.equal(DeblurGANGenerator(width=8, blocks=1).eval()(picture()), picture())


def test_the_correction_is_added_to_the_input_and_stays_within_half_the_range() -> None:
    generator = small_generator().eval()
    with torch.no_grad():
        nn.init.normal_(generator.outro.weight, std=5.0)
        correction = generator(picture()) - picture()
    assert 0.49 < correction.abs().max() <= 0.5 + 1e-6


def test_a_gradient_reaches_every_parameter() -> None:
    generator = small_generator()
    (generator(picture(batch=2)) - 0.5).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in generator.parameters())


def test_the_correction_does_not_depend_on_brightness_and_contrast() -> None:
    generator, x = small_generator().eval(), picture()
    with torch.no_grad():
        dim = 0.5 * x + 0.2
        assert torch.allclose(generator(dim) - dim, generator(x) - x, atol=1e-3)
        assert (generator(x) - x).abs().max() > 0.02


def test_borders_are_mirrored_and_not_darkened() -> None:
    flat = torch.full((1, 16, 8, 8), 0.7)
    block = ReflectedResidualBlock(16, dropout=0.0)
    convolved = block.convolution1(flat)
    assert torch.allclose(convolved, convolved[..., 4:5, 4:5].expand_as(convolved), atol=1e-5)


def test_dropout_acts_in_training_alone() -> None:
    generator = small_generator()
    with torch.no_grad():
        assert not torch.equal(generator.train()(picture()), generator(picture()))
        assert torch.equal(generator.eval()(picture()), generator(picture()))


def test_the_smallest_frame_that_it_takes_is_eight_pixels_square() -> None:
    with torch.no_grad():
        assert small_generator().eval()(picture(8, 8)).shape == (1, 3, 8, 8)
