"""PSNR as a loss: in dB, of each sample, finite for a perfect one."""

import numpy as np
import pytest
import torch

from deblur_core.losses.psnr import psnr_loss
from deblur_core.metrics import psnr


def test_a_tenth_of_the_squared_error_is_10_db() -> None:
    truth = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    whole, tenth = psnr_loss(truth + 0.1, truth, 0.0), psnr_loss(truth + 0.1 / 10**0.5, truth, 0.0)
    assert float(whole - tenth) == pytest.approx(10.0)


def test_it_is_minus_the_psnr_that_is_reported() -> None:
    rng = np.random.default_rng(2)
    restored, truth = rng.random((2, 8, 9, 3))
    loss = psnr_loss(*(torch.from_numpy(x)[None] for x in (restored, truth)), smallest_error=0.0)
    assert -float(loss) == pytest.approx(psnr(restored, truth))


def test_each_sample_counts_by_its_own_psnr() -> None:
    truth = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    restored = truth + torch.tensor([0.1, 0.001], dtype=torch.float64).view(2, 1, 1, 1)
    assert float(psnr_loss(restored, truth, 0.0)) == pytest.approx(-(20.0 + 60.0) / 2)


def test_a_perfect_frame_has_60_db_and_a_finite_gradient() -> None:
    restored = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    loss = psnr_loss(restored, restored.detach().clone())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-60.0)
    assert restored.grad is not None
    assert restored.grad.isfinite().all()


def test_its_gradient_is_that_of_its_equation() -> None:
    generator = torch.Generator().manual_seed(1)
    restored = torch.rand(2, 3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    truth = torch.rand(2, 3, 5, 4, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: psnr_loss(x, truth), restored)


def test_frames_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="against truth"):
        psnr_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 1))
