"""How a blurred frame comes from restored ones: flows between them, then the reblur, in the light that sensors add up.

Two-frame and three-frame forms, by convolution or by warping (Reblur2Deblur, Eq. 3 to 6 and Section 4.4). Takes any
flow; knows no network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from deblur_core.reblur.convolution import reblur_by_convolution
from deblur_core.reblur.kernel_table import REACH_PIXELS
from deblur_core.reblur.warping import reblur_by_warping
from deblur_core.synthesis.exposure import GAMMA

Flow = Callable[[Tensor, Tensor], Tensor]
"""flow(first, second): frames [B, 3, H, W] in [0, 1] → [B, 2, H, W] in pixels, so that first(p) shows what
second(p + flow(p)) shows. One that is a torch module passes gradients on. `dis_flow` and FlowNetS are two."""


def flows_to_target(target: Tensor, neighbours: Sequence[Tensor], flow: Flow) -> tuple[Tensor, Tensor]:
    """Eq. 3 and 4: F(t+1 → t) and F(t-1 → t), each [B, 2, H, W] in pixels, from restored frames [B, 3, H, W].

    neighbours: (before, after) for the three-frame form; (after,) for the two-frame form, which takes F(t-1 → t) to be
    -F(t+1 → t). Raises ValueError for any other number.
    """
    if len(neighbours) == 1:
        forward = flow(neighbours[0], target)
        return forward, -forward
    if len(neighbours) != 2:
        raise ValueError(f"flows_to_target: one or two neighbours, not {len(neighbours)}")
    before, after = neighbours
    return flow(after, target), flow(before, target)


def inside(flows: Sequence[Tensor], reach: float = REACH_PIXELS) -> Tensor:
    """Where the blur of [B, 2, H, W] flows can be told: bool [B, 1, H, W].

    Not where a flow leaves the frame (what came in from there is unknown), nor where it is longer than `reach` pixels.
    """
    height, width = flows[0].shape[2:]
    y = torch.arange(height, device=flows[0].device)[:, None]
    x = torch.arange(width, device=flows[0].device)
    known = torch.ones_like(flows[0][:, :1], dtype=torch.bool)
    for flow in flows:
        to_x, to_y = x + flow[:, :1], y + flow[:, 1:]
        known &= (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
        known &= flow.abs().amax(1, keepdim=True) <= reach
    return known


@dataclass(frozen=True)
class BlurFormation:
    """b(S; K) of Eq. 6, for a display-referred target.

    linear_light: average light, not the gamma-coded values that the paper averages; that is what sensors do.
    """

    by: Literal["convolution", "warping"] = "convolution"
    linear_light: bool = True

    def __call__(self, target: Tensor, flows: Sequence[Tensor], exposure: Tensor | float = 1.0) -> Tensor:
        """The target [B, 3, H, W] in [0, 1] reblurred along τ times its flows; τ = `exposure`, one or [B].

        τ = 1 is the paper's: the shutter is open from the neighbour before to the neighbour after. Half of it is as
        much as a camera can have that takes one frame after the other.
        """
        scale = exposure.view(-1, 1, 1, 1) if isinstance(exposure, Tensor) else exposure
        lines = [flow * scale for flow in flows]
        # The root's slope is infinite at black; four in ten thousand of white are far below one step of 8 bits.
        light = target.clamp(4e-4, 1.0).pow(GAMMA) if self.linear_light else target
        reblur = reblur_by_convolution if self.by == "convolution" else reblur_by_warping
        blurred = reblur(light, lines)
        return blurred.pow(1.0 / GAMMA) if self.linear_light else blurred
