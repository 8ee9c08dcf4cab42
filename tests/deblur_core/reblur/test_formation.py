"""Flows between restored frames, where blur can be told, and the losses."""

import numpy as np
import pytest
import torch
from torch import Tensor

from deblur_core.reblur.dis_flow import dis_flow
from deblur_core.reblur.formation import BlurFormation, flows_to_target, inside
from deblur_core.reblur.loss import hybrid_loss, self_supervised_loss
from tests.media import moving_texture


def moving(count: int, step: int = 4, size: int = 160) -> list[Tensor]:
    """Frames [1, 3, S, S] of a texture that moves to the left by `step` pixels a frame."""
    wide = next(iter(moving_texture(1, (size + step * count, size)))).astype(np.float32) / 255.0
    views = [wide[:, step * number : step * number + size] for number in range(count)]
    return [torch.from_numpy(np.ascontiguousarray(view)).permute(2, 0, 1)[None] for view in views]


def test_dis_flow_finds_a_known_motion_on_the_grid_of_the_first_frame() -> None:
    first, second = moving(2)
    flow = dis_flow(first, second)
    assert flow.shape == (1, 2, 160, 160)
    inner = flow[..., 24:-24, 24:-24]
    assert torch.allclose(inner[:, 0].median(), torch.tensor(-4.0), atol=0.3)
    assert torch.allclose(inner[:, 1].median(), torch.tensor(0.0), atol=0.3)


def test_dis_flow_of_tiny_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="32 pixels"):
        dis_flow(torch.zeros(1, 3, 16, 64), torch.zeros(1, 3, 16, 64))


def test_three_frames_give_both_flows_and_two_frames_one_and_its_opposite() -> None:
    before, target, after = moving(3)
    forward, backward = flows_to_target(target, (before, after), dis_flow)
    assert torch.equal(forward, dis_flow(after, target))
    assert torch.equal(backward, dis_flow(before, target))
    alone, opposite = flows_to_target(target, (after,), dis_flow)
    assert torch.equal(alone, forward)
    assert torch.equal(opposite, -forward)


def test_a_target_without_neighbours_is_refused() -> None:
    with pytest.raises(ValueError, match="one or two neighbours"):
        flows_to_target(torch.zeros(1, 3, 32, 32), (), dis_flow)


@pytest.mark.parametrize("frames", [2, 3])
def test_sharp_frames_reblur_to_the_frame_that_the_shutter_saw(frames: int) -> None:
    # Moments of one long motion: the middle one is the truth, the mean over a frame's time each way what was recorded.
    moments = moving(17, step=1)
    target, before, after = moments[8], moments[4], moments[12]
    shutter = [0.5, *[1.0] * 7, 0.5]
    light = sum(weight * moment.pow(2.2) for weight, moment in zip(shutter, moments[4:13], strict=True)) / 8
    recorded = light.pow(1 / 2.2)
    neighbours = (before, after) if frames == 3 else (after,)
    flows = flows_to_target(target, neighbours, dis_flow)
    known = inside(flows)
    assert known.float().mean() > 0.8
    unexplained = self_supervised_loss(target, recorded, known)
    explained = self_supervised_loss(BlurFormation()(target, flows), recorded, known)
    assert explained < 0.1 * unexplained
    too_short = self_supervised_loss(BlurFormation()(target, flows, 0.3), recorded, known)
    assert explained < too_short < unexplained


def test_what_a_flow_fetches_from_outside_the_frame_is_not_known() -> None:
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0] = 3.0
    known = inside([flow, -flow])
    assert known[0, 0].all(0).tolist() == [False] * 3 + [True] * 2 + [False] * 3


def test_a_flow_longer_than_the_table_is_not_known() -> None:
    flow = torch.zeros(1, 2, 60, 60)
    flow[..., 30, 30] = 16.5
    assert inside([flow]).logical_not().sum() == 1


def test_unknown_pixels_do_not_count_and_frames_count_equally() -> None:
    recorded = torch.zeros(2, 3, 4, 4)
    reblurred = recorded.clone()
    reblurred[0, :, 0] = 9.0
    reblurred[1, :, 3, 3] = 2.0
    known = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    known[0, :, 0] = False
    known[1] = False
    known[1, 0, 3] = True
    assert float(self_supervised_loss(reblurred, recorded, known)) == pytest.approx((0.0 + 1.0) / 2)
    assert float(self_supervised_loss(reblurred, recorded, torch.zeros_like(known))) == 0.0


def test_the_hybrid_loss_weighs_what_is_not_supervised_by_a_tenth() -> None:
    assert float(hybrid_loss(torch.tensor(2.0), torch.tensor(3.0))) == pytest.approx(2.3)
