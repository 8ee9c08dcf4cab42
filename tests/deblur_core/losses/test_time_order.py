"""The order-free loss of moments: a motion told backwards is as good, standing still is not."""

import pytest
import torch

from deblur_core.losses.psnr import psnr_loss
from deblur_core.losses.time_order import either_way_psnr_loss


def bar(places: list[int]) -> torch.Tensor:
    """[1, 3 × moments, 4, 12]: a bright column at each place."""
    frames = torch.zeros(len(places), 3, 4, 12)
    for moment, place in enumerate(places):
        frames[moment, :, :, place] = 1.0
    return frames.flatten(0, 1)[None]


FORWARD, BACKWARD = bar([3, 4, 5, 6, 7]), bar([7, 6, 5, 4, 3])


def test_both_orders_are_as_good_and_as_psnr_says() -> None:
    torch.manual_seed(1)
    noisy = (FORWARD + 0.1 * torch.rand_like(FORWARD)).clamp(0, 1)
    assert either_way_psnr_loss(noisy, FORWARD) == pytest.approx(float(psnr_loss(noisy, FORWARD)), abs=1e-4)
    assert either_way_psnr_loss(noisy, BACKWARD) == pytest.approx(float(psnr_loss(noisy, FORWARD)), abs=1e-4)


def test_each_sample_chooses_its_own_order() -> None:
    both = torch.cat([FORWARD, BACKWARD])
    assert float(either_way_psnr_loss(both, both.flip(0))) == pytest.approx(-60.0, abs=0.01)


def test_standing_still_loses_to_either_motion_where_a_fixed_order_prefers_it() -> None:
    still = (FORWARD + BACKWARD) / 2
    assert either_way_psnr_loss(BACKWARD, FORWARD) < either_way_psnr_loss(still, FORWARD)
    assert psnr_loss(BACKWARD, FORWARD) > psnr_loss(still, FORWARD)


def test_its_gradient_is_the_numerical_one() -> None:
    torch.manual_seed(2)
    restored = torch.rand(2, 9, 3, 4, dtype=torch.float64, requires_grad=True)
    truth = torch.rand(2, 9, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: either_way_psnr_loss(x, truth), restored)


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="against truth"):
        either_way_psnr_loss(FORWARD, FORWARD[:, :3])
