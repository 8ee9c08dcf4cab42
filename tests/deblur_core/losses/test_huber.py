"""Huber loss: quadratic for small errors, linear for large ones."""

import pytest
import torch

from deblur_core.losses.huber import LARGEST_QUADRATIC_ERROR, huber_loss


def of_error(error: float, alpha: float = 0.1) -> float:
    truth = torch.full((1, 3, 4, 4), 0.25, dtype=torch.float64)
    return float(huber_loss(truth + error, truth, alpha))


def test_a_small_error_counts_by_half_its_square() -> None:
    assert of_error(0.04) == pytest.approx(0.5 * 0.04**2)
    assert of_error(0.08) == pytest.approx(4 * of_error(0.04))


def test_a_large_error_counts_linearly() -> None:
    assert of_error(0.5) == pytest.approx(0.1 * (0.5 - 0.05))
    assert of_error(0.7) - of_error(0.6) == pytest.approx(of_error(0.6) - of_error(0.5))


def test_the_sign_of_a_large_error_does_not_matter() -> None:
    assert of_error(-0.5) == pytest.approx(of_error(0.5))


def test_both_parts_meet_where_they_change() -> None:
    just_below, just_above = of_error(LARGEST_QUADRATIC_ERROR - 1e-9), of_error(LARGEST_QUADRATIC_ERROR + 1e-9)
    assert just_above == pytest.approx(just_below, abs=1e-9)


def test_its_gradient_is_that_of_its_equation() -> None:
    generator = torch.Generator().manual_seed(1)
    restored = torch.rand(2, 3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    truth = torch.rand(2, 3, 5, 4, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: huber_loss(x, truth), restored)


def test_frames_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[1, 3, 4, 4\] against truth \[1, 3, 1, 4\]"):
        huber_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 1, 4))


def test_an_alpha_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha must be positive"):
        of_error(0.1, alpha=0.0)


def test_half_precision_is_widened_before_anything_is_squared() -> None:
    truth = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float16)
    loss = huber_loss(truth + 0.0005, truth)
    assert loss.dtype == torch.float32
    assert 0.0 < float(loss) < 1e-6
