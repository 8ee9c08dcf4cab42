"""Reblur by a kernel of its own for each pixel (Reblur2Deblur, Eq. 6): the paper's first blur formation model.

The kernels are never laid out: each pixel gathers its few taps, tile by tile, and so do gradients, so that memory does
not grow with the frame. Knows the table of kernels and no network.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.reblur.kernel_table import KernelTable, kernel_table

MOST_TILE_PIXELS = 1 << 14


def reblur_by_convolution(
    sharp: Tensor, flows: Sequence[Tensor], table: KernelTable | None = None, most_pixels: int = MOST_TILE_PIXELS
) -> Tensor:
    """Each pixel of `sharp` [B, C, H, W] averaged along the lines to its flows; returns the same shape.

    flows: one [B, 2, H, W] for each part of the exposure, (x, y) in pixels, already times τ; the parts last equally
    long. Differentiable once in frames and flows; flows beyond the table's reach are cut off, borders are repeated.
    most_pixels: how many are worked on at once, at about 1 kB each.
    """
    if not flows or any(flow.shape != (len(sharp), 2, *sharp.shape[2:]) for flow in flows):
        raise ValueError(f"reblur: flows of {[list(flow.shape) for flow in flows]} for frames of {list(sharp.shape)}")
    table = table or kernel_table()
    batch, channels, height, width = sharp.shape
    reach = table.reach
    stride, padded_pixels = width + 2 * reach, (height + 2 * reach) * (width + 2 * reach)
    padded = F.pad(sharp, (reach, reach, reach, reach), mode="replicate")
    rows = torch.arange(height, device=sharp.device)[:, None] + reach
    places = (rows * stride + torch.arange(width, device=sharp.device) + reach).flatten()
    places = (places + padded_pixels * torch.arange(batch, device=sharp.device)[:, None]).flatten()
    steps = (table.offsets[..., 1] * stride + table.offsets[..., 0]).to(sharp.device)
    taps = max(table.taps_for(flow) for flow in flows)
    corners = [corner for flow in flows for corner in table.corners(flow.to(sharp.dtype))]
    blurred = _SumOfTaps.apply(
        padded.permute(0, 2, 3, 1).reshape(-1, channels),
        torch.stack([share.flatten() for _, share in corners]) / len(flows),
        torch.stack([entry.flatten() for entry, _ in corners]),
        places,
        steps[:, :taps],
        table.weights[:, :taps].to(sharp),
        max(most_pixels, 1),
    )
    reblurred: Tensor = blurred.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return reblurred


class _SumOfTaps(torch.autograd.Function):
    """out[p] = Σ over corners k of shares[k, p] × Σ over taps t of weights[e, t] × pixels[places[p] + steps[e, t]].

    e = entries[k, p]. pixels [M, C]; shares [K, P]; entries int64 [K, P]; places int64 [P]; steps int64 and weights
    [N, T]. Gradients for pixels and shares. Written out, because autograd would keep every gathered tap.
    """

    @staticmethod
    def forward(
        context: Any, pixels: Tensor, shares: Tensor, entries: Tensor, places: Tensor, steps: Tensor, weights: Tensor,
        most: int,
    ) -> Tensor:  # fmt: skip
        context.save_for_backward(pixels, shares, entries, places, steps, weights)
        context.most = most
        out = pixels.new_zeros(len(places), pixels.shape[1])
        for span in _spans(len(places), most):
            for share, entry in zip(shares[:, span], entries[:, span], strict=True):
                at = places[span, None] + steps.index_select(0, entry)
                weight = weights.index_select(0, entry) * share[:, None]
                out[span] += torch.einsum("ptc,pt->pc", _taken(pixels, at), weight)
        return out

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        pixels, shares, entries, places, steps, weights = context.saved_tensors
        (gradient,) = gradients
        wants_pixels, wants_shares = context.needs_input_grad[:2]
        for_pixels = torch.zeros_like(pixels) if wants_pixels else None
        for_shares = torch.zeros_like(shares) if wants_shares else None
        for span in _spans(len(places), context.most):
            for corner, entry in enumerate(entries[:, span]):
                at, weight = places[span, None] + steps.index_select(0, entry), weights.index_select(0, entry)
                if for_shares is not None:
                    taps = _taken(pixels, at)
                    for_shares[corner, span] = torch.einsum("ptc,pt,pc->p", taps, weight, gradient[span])
                if for_pixels is not None:
                    weight = weight * shares[corner, span, None]
                    scattered = weight[..., None] * gradient[span, None]
                    for_pixels.index_add_(0, at.flatten(), scattered.flatten(0, 1))
        return for_pixels, for_shares, None, None, None, None, None


def _taken(pixels: Tensor, at: Tensor) -> Tensor:
    """pixels [M, C] at int64 [p, t] → [p, t, C]. Several times as fast on a CPU as pixels[at]."""
    return pixels.index_select(0, at.flatten()).view(*at.shape, pixels.shape[1])


def _spans(length: int, most: int) -> list[slice]:
    return [slice(start, min(start + most, length)) for start in range(0, length, most)]
