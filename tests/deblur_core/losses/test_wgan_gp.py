"""WGAN-GP: the critic's distance, the generator's share of it, a penalty that is zero for a critic of unit slope."""

import pytest
import torch
from torch import Tensor, nn

from deblur_core.losses.wgan_gp import critic_loss, generator_loss, gradient_penalty


def frames(seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(4, 3, 6, 5, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def linear_critic(slope: float) -> nn.Module:
    """A critic whose gradient has the norm `slope` everywhere."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(90, 1)).double()
    weight = critic[1].weight
    with torch.no_grad():
        weight.mul_(slope / weight.norm())
    return critic


def test_a_critic_of_unit_slope_has_no_penalty() -> None:
    assert float(gradient_penalty(linear_critic(1.0), frames(1), frames(2)).detach()) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("slope", [0.25, 3.0])
def test_another_slope_costs_the_square_of_its_difference_to_one(slope: float) -> None:
    penalty = gradient_penalty(linear_critic(slope), frames(1), frames(2))
    assert float(penalty.detach()) == pytest.approx((slope - 1.0) ** 2)


def test_a_map_of_values_counts_by_its_mean() -> None:
    critic = linear_critic(1.0)
    as_map = gradient_penalty(lambda x: critic(x).view(-1, 1, 1, 1).expand(-1, 1, 4, 4), frames(1), frames(2))
    assert float(as_map.detach()) == pytest.approx(0.0, abs=1e-12)


def test_a_critic_that_knows_nothing_is_pushed_without_a_nan() -> None:
    critic = linear_critic(0.0)
    penalty = gradient_penalty(critic, frames(1), frames(2))
    penalty.backward()
    assert float(penalty.detach()) == pytest.approx(1.0)
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in critic.parameters())


def test_the_penalty_looks_between_the_restored_and_the_true_frames() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    restored, truth = frames(1), frames(2)
    gradient_penalty(critic, restored, truth, torch.Generator().manual_seed(5))
    share = (seen[0] - truth) / (restored - truth)
    assert torch.allclose(share, share[:, :1, :1, :1].expand_as(share))
    assert ((share > 0.0) & (share < 1.0)).all()
    assert share[:, 0, 0, 0].unique().numel() == 4


def test_the_penalty_reaches_the_critic_and_not_the_frames() -> None:
    restored = frames(1).requires_grad_()
    critic = linear_critic(2.0)
    gradient_penalty(critic, restored, frames(2)).backward()
    assert restored.grad is None
    assert critic[1].weight.grad.abs().sum() > 0


def test_gradient_descent_on_the_penalty_brings_the_slope_to_one() -> None:
    critic = linear_critic(3.0)
    optimiser = torch.optim.SGD(critic.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        gradient_penalty(critic, frames(1), frames(2)).backward()
        optimiser.step()
    assert float(critic[1].weight.detach().norm()) == pytest.approx(1.0, abs=1e-3)


def test_its_second_order_gradient_is_that_of_its_equation() -> None:
    weight = torch.rand(3, 3, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.5
    restored, truth = frames(1), frames(2)

    def penalty(weight: Tensor) -> Tensor:
        return gradient_penalty(
            lambda x: torch.tanh(nn.functional.conv2d(x, weight)), restored, truth, torch.Generator().manual_seed(5)
        )

    assert torch.autograd.gradcheck(penalty, weight.requires_grad_())


def test_the_critic_gains_where_truth_scores_above_what_was_restored() -> None:
    low, high = torch.full((4, 1, 2, 2), -1.0), torch.full((4, 1, 2, 2), 2.0)
    assert float(critic_loss(low, high)) == -3.0
    assert float(critic_loss(high, low)) == 3.0


def test_the_generator_gains_where_what_it_restored_scores_high() -> None:
    assert float(generator_loss(torch.tensor([1.0, 3.0]))) == -2.0


def test_the_batch_size_does_not_weigh_the_generators_loss() -> None:
    scores = torch.tensor([[1.0], [3.0]])
    assert float(generator_loss(scores)) == float(generator_loss(scores.repeat(3, 1)))


def test_frames_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="against truth"):
        gradient_penalty(linear_critic(1.0), frames(1)[..., 1:], frames(2))
