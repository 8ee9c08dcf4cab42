"""Contiguous blurry loss: falls as two sets of features approach, in value or in place; finite and never negative."""

import math

import pytest
import torch
from torch import Tensor

from deblur_core.losses.contiguous import ContiguousLoss, contiguous_loss
from deblur_core.losses.feature_net import FeatureNet


def features(seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(2, 16, 10, 12, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_equal_features_cost_nothing() -> None:
    assert float(contiguous_loss(features(1), features(1))) == pytest.approx(0.0, abs=1e-6)


def test_it_falls_as_features_approach() -> None:
    truth, other = features(1), features(2)
    losses = [float(contiguous_loss(torch.lerp(truth, other, share), truth)) for share in (1.0, 0.6, 0.4, 0.2, 0.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 0.5


def test_it_falls_as_features_come_nearer_to_their_place() -> None:
    truth = features(1)
    losses = [float(contiguous_loss(truth.roll(shift, dims=3), truth)) for shift in (6, 4, 2, 1, 0)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 5


def test_a_small_displacement_costs_far_less_than_other_features() -> None:
    truth = features(1)
    assert float(contiguous_loss(truth.roll(1, dims=2), truth)) < 0.3 * float(contiguous_loss(features(2), truth))


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e4])
def test_it_stays_between_zero_and_log_2_with_a_finite_gradient(scale: float) -> None:
    restored = (scale * features(1)).requires_grad_()
    loss = contiguous_loss(restored, features(2))
    loss.backward()
    assert 0.0 <= float(loss.detach()) <= math.log(2.0) + 1e-6
    assert restored.grad is not None
    assert restored.grad.isfinite().all()


def test_a_truth_without_any_structure_is_no_trouble() -> None:
    restored = features(1).requires_grad_()
    loss = contiguous_loss(restored, torch.ones_like(restored))
    loss.backward()
    assert loss.isfinite()
    assert restored.grad is not None
    assert restored.grad.isfinite().all()


def test_it_follows_its_equations_written_out() -> None:
    x, y = features(1, torch.float64)[:1, :4, :2, :3], features(2, torch.float64)[:1, :4, :2, :3]
    centre = y.mean((2, 3), keepdim=True)
    xs, ys = ((z - centre)[0].flatten(1).T for z in (x, y))
    places = [(row / 1.0, column / 2.0) for row in range(2) for column in range(3)]
    cosine = [[1.0 - float(a @ b / a.norm() / b.norm()) for b in ys] for a in xs]
    total = 0.0
    for j in range(6):
        best = 0.0
        for i in range(6):
            w = [math.exp((1.0 - d / (min(cosine[i]) + 1e-5)) / 0.5) for d in cosine[i]]
            nearness = 1.0 - math.dist(places[i], places[j]) / math.sqrt(2.0)
            best = max(best, nearness * (w[j] / sum(w) + 1.0))
        total += best
    assert float(contiguous_loss(x, y)) == pytest.approx(-math.log(total / 6 / 2))


def test_its_gradient_is_that_of_its_equation() -> None:
    truth = features(1, torch.float64)[:1, :4, :3, :4]
    restored = torch.lerp(truth, features(2, torch.float64)[:1, :4, :3, :4], 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: contiguous_loss(x, truth), restored)


def test_autocast_does_not_coarsen_it() -> None:
    restored = torch.lerp(features(1), features(2), 0.02)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = contiguous_loss(restored, features(1))
    assert float(coarse) == pytest.approx(float(contiguous_loss(restored, features(1))), abs=1e-6)


def test_a_bandwidth_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="bandwidth must be positive"):
        contiguous_loss(features(1), features(1), 0.0)


@pytest.fixture
def of_frames() -> ContiguousLoss:
    torch.manual_seed(1)
    return ContiguousLoss(FeatureNet().requires_grad_(False).eval(), most_side=16)


def frames(seed: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, 48, 48, generator=torch.Generator().manual_seed(seed))


def test_frames_approach_as_their_pixels_do(of_frames: ContiguousLoss) -> None:
    truth, other = frames(1), frames(2)
    losses = [float(of_frames(torch.lerp(truth, other, share), truth)) for share in (1.0, 0.5, 0.2, 0.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0.0, abs=1e-6)


def test_frames_that_differ_in_colour_alone_are_told_apart() -> None:
    blind = ContiguousLoss(torch.nn.Sequential(torch.nn.AvgPool2d(4), ColourBlind()))
    grey = frames(1).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    tinted = grey + torch.tensor([0.2, -0.2, 0.0]).view(1, 3, 1, 1) * frames(2)[:, :1]
    assert float(blind(tinted, grey)) > 0.01


class ColourBlind(torch.nn.Module):
    """Features that red against green leaves as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1] + x[:, 1:2], x[:, 2:]], 1)


def test_seven_frames_of_rgb_or_luma_give_a_gradient_each(of_frames: ContiguousLoss) -> None:
    for channels in (3, 1):
        of_frames.channels = channels
        restored = frames(1, 7 * channels).requires_grad_()
        of_frames(restored, frames(2, 7 * channels)).backward()
        assert restored.grad is not None
        assert (restored.grad.abs().sum((0, 2, 3)) > 0.0).all()


def test_a_large_grid_is_thinned(of_frames: ContiguousLoss) -> None:
    wide = torch.rand(1, 3, 80, 200, generator=torch.Generator().manual_seed(1))
    found, colour = of_frames._features(wide)
    assert found.shape[2:] == colour.shape[2:] == (5, 13)
