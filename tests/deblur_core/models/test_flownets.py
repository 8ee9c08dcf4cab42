"""FlowNetS: its size against the paper's, frames of any size, and that it can learn."""

import pytest
import torch

from deblur_core.models.flownets import FlowNetS


def test_the_papers_width_has_its_38_7_million_parameters() -> None:
    with torch.device("meta"):
        network = FlowNetS(width=64)
    assert sum(each.numel() for each in network.parameters()) == 38_676_506


def test_the_default_stays_under_25_mib_in_half_precision() -> None:
    with torch.device("meta"):
        network = FlowNetS()
    assert sum(each.numel() for each in network.parameters()) * 2 < 25 * 2**20


@pytest.mark.parametrize(("height", "width"), [(64, 128), (50, 91), (1, 65)])
def test_the_flow_has_the_size_of_the_frames(height: int, width: int) -> None:
    frame = torch.rand(2, 3, height, width)
    flow = FlowNetS(width=4)(frame, frame)
    assert flow.shape == (2, 2, height, width)
    assert flow.dtype == torch.float32


def test_the_pyramid_rises_from_a_sixty_fourth_to_a_quarter() -> None:
    frame = torch.rand(1, 3, 128, 70)
    flows = FlowNetS(width=4).pyramid(frame, frame)
    assert [tuple(flow.shape[2:]) for flow in flows] == [(2, 2), (4, 4), (8, 8), (16, 16), (32, 32)]


def test_gradients_reach_both_frames_and_every_weight() -> None:
    torch.manual_seed(0)
    network = FlowNetS(width=4)
    first, second = torch.rand(1, 3, 64, 64, requires_grad=True), torch.rand(1, 3, 64, 64, requires_grad=True)
    network(first, second).square().mean().backward()
    for each in (first, second, *network.parameters()):
        assert each.grad is not None
        assert each.grad.abs().sum() > 0


def test_it_learns_a_motion_that_it_is_shown() -> None:
    torch.manual_seed(0)
    network = FlowNetS(width=4)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    still = torch.rand(1, 3, 64, 64)
    pairs = torch.cat([still, still]), torch.cat([still.roll(4, 3), still.roll(-4, 3)])
    truth = torch.tensor([4.0, -4.0]).view(2, 1, 1, 1)

    def error() -> torch.Tensor:
        flow = network(*pairs)
        return (flow[:, :1] - truth).abs().mean() + flow[:, 1:].abs().mean()

    for _ in range(30):
        optimiser.zero_grad()
        loss = error()
        loss.backward()
        optimiser.step()
    assert float(error().detach()) < 1.0


def test_two_frames_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="FlowNetS: frames of"):
        FlowNetS(width=4)(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 60))
