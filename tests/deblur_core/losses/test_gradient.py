"""Gradient loss: blind to brightness, sensitive to edges."""

import pytest
import torch

from deblur_core.losses.gradient import gradient_loss


def frame(seed: int = 1) -> torch.Tensor:
    return torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_constant_shift_costs_nothing() -> None:
    assert float(gradient_loss(frame() + 0.25, frame())) == pytest.approx(0.0, abs=1e-12)


def test_an_edge_that_is_lost_costs_its_height_in_every_channel() -> None:
    truth = torch.zeros(1, 3, 6, 8)
    truth[..., 4:] = 0.5
    assert float(gradient_loss(torch.zeros_like(truth), truth)) == pytest.approx(3 * 0.5 / 7)


def test_both_directions_count_alike() -> None:
    truth = torch.zeros(1, 1, 7, 7)
    truth[..., 3:] = 0.5
    flat = torch.zeros_like(truth)
    assert float(gradient_loss(flat, truth)) == pytest.approx(float(gradient_loss(flat, truth.transpose(2, 3))))


def test_blur_costs_more_the_wider_it_is() -> None:
    truth = frame()
    costs = [
        float(
            gradient_loss(torch.nn.functional.avg_pool2d(truth, width, 1, width // 2, count_include_pad=False), truth)
        )
        for width in (1, 3, 5)
    ]
    assert costs[0] == 0.0
    assert costs[0] < costs[1] < costs[2]


def test_its_gradient_is_that_of_its_equation() -> None:
    assert torch.autograd.gradcheck(lambda x: gradient_loss(x, frame(2)), frame().requires_grad_())


@pytest.mark.parametrize("shape", [(1, 3, 1, 8), (3, 6, 8)])
def test_what_has_no_gradient_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 × 2 pixels or more"):
        gradient_loss(torch.zeros(shape), torch.zeros(shape))
