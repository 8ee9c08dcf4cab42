"""The lookup table from optical flow to blur kernel (Reblur2Deblur, Section 3.3, Figure 3). Knows no image.

Eq. 8 has a kernel that is not differentiable in the flow; a table of the kernels of all whole-pixel flows, interpolated
bilinearly (Eq. 9), is. A kernel is a line of few pixels, so the table holds those and not the zeros around them.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

REACH_PIXELS = 16
"""Flows of up to this many pixels in each direction have a kernel: 33 × 33 entries, as in the paper."""


def line_taps(u: int, v: int) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 8 for one whole-pixel flow: offsets int64 [T, 2] as (x, y) and weights float64 [T] that sum to 1.

    The uniform density on the segment from (0, 0) to (u, v), integrated by the trapezoid rule at unit steps of its
    longer side; a sample between two pixels falls to both in proportion. Finer steps would only soften the picture.
    """
    steps = max(abs(u), abs(v))
    if steps == 0:
        return np.zeros((1, 2), np.int64), np.ones(1)
    density = np.full(steps + 1, 1.0 / steps)
    density[[0, -1]] /= 2.0
    points = np.arange(steps + 1)[:, None] * np.array([[u, v]]) / steps
    low, high = np.floor(points).astype(np.int64), np.ceil(points).astype(np.int64)
    # One of the two coordinates is whole, so the fractions of both sum to the fraction of the other.
    fraction = (points - low).sum(axis=1)
    offsets = np.stack([low, high], axis=1).reshape(-1, 2)
    weights = np.stack([density * (1.0 - fraction), density * fraction], axis=1).reshape(-1)
    return offsets, weights


class KernelTable:
    """Kernels of all whole-pixel flows from (-reach, -reach) to (reach, reach), row by row.

    offsets: int64 [N, T, 2] as (x, y); weights: float64 [N, T], each row sums to 1, zero where a kernel has fewer taps.
    N is (2 reach + 1)², T is 2 (reach + 1). The taps of short lines come first.
    """

    def __init__(self, reach: int = REACH_PIXELS) -> None:
        self.reach = reach
        side = 2 * reach + 1
        offsets = np.zeros((side * side, 2 * (reach + 1), 2), np.int64)
        weights = np.zeros((side * side, 2 * (reach + 1)))
        for entry in range(side * side):
            at, weight = line_taps(entry % side - reach, entry // side - reach)
            offsets[entry, : len(at)], weights[entry, : len(weight)] = at, weight
        self.offsets, self.weights = torch.from_numpy(offsets), torch.from_numpy(weights)

    def corners(self, flow: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The four entries around each flow [B, 2, …] and their weights ω of Eq. 9, differentiable in the flow.

        Yields int64 [B, …] and [B, …] of the flow's dtype four times. Flows beyond the reach are cut off at it.
        """
        side = 2 * self.reach + 1
        flow = flow.clamp(-self.reach, self.reach)
        low = flow.detach().floor().clamp(max=self.reach - 1)
        fraction = flow - low
        x, y = (low.long() + self.reach).unbind(1)
        right, below = fraction.unbind(1)
        yield y * side + x, (1 - below) * (1 - right)
        yield y * side + x + 1, (1 - below) * right
        yield (y + 1) * side + x, below * (1 - right)
        yield (y + 1) * side + x + 1, below * right

    def taps_for(self, flow: Tensor) -> int:
        """How many taps the longest kernel of these flows has."""
        longest = min(float(flow.detach().abs().max()), float(self.reach)) if flow.numel() else 0.0
        return 2 * (int(np.ceil(longest)) + 1)

    def kernel(self, u: float, v: float) -> Tensor:
        """Eq. 9 for one flow: float64 [side, side], rows from y = -reach, columns from x = -reach; sums to 1."""
        side = 2 * self.reach + 1
        kernel = torch.zeros(side * side, dtype=torch.float64)
        for entry, share in self.corners(torch.tensor([[u, v]], dtype=torch.float64)):
            at = self.offsets[entry[0]] + self.reach
            kernel.index_add_(0, at[:, 1] * side + at[:, 0], self.weights[entry[0]] * share[0])
        return kernel.view(side, side)


@lru_cache(maxsize=2)
def kernel_table(reach: int = REACH_PIXELS) -> KernelTable:
    """The table of this reach, made once."""
    return KernelTable(reach)
