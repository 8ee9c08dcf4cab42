"""Runs a fully convolutional network over frames of any size: padding to its multiple, tiles where memory asks for it.

Tiles overlap and are blended linearly, so that no seam shows. Knows no architecture.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Network = Callable[[Tensor], Tensor]


def run_padded(network: Network, x: Tensor, multiple: int) -> Tensor:
    """Applies `network` to [B, C, H, W] of any size by padding right and bottom with the border's pixels."""
    height, width = x.shape[2:]
    pad = (-width % multiple, -height % multiple)
    y = network(F.pad(x, (0, pad[0], 0, pad[1]), mode="replicate")) if any(pad) else network(x)
    return y[..., :height, :width]


def run_tiled(network: Network, x: Tensor, multiple: int, most_pixels: int, overlap: int = 64) -> Tensor:
    """Applies `network` to [B, C, H, W] in tiles of at most about `most_pixels`; one pass where the frame fits.

    overlap: pixels that neighbouring tiles share; a multiple of `multiple`. Returns [B, C', H, W] float32.
    """
    height, width = x.shape[2:]
    if height * width <= most_pixels:
        return run_padded(network, x, multiple).float()
    side = max(int(most_pixels**0.5) // multiple * multiple, 2 * overlap)
    total: Tensor | None = None
    weight = x.new_zeros((1, 1, height, width), dtype=torch.float32)
    for top, bottom in _spans(height, side, overlap, multiple):
        for left, right in _spans(width, side, overlap, multiple):
            y = run_padded(network, x[..., top:bottom, left:right].contiguous(), multiple).float()
            ramp = _ramp(bottom - top, overlap, top > 0, bottom < height, y)[:, None]
            ramp = ramp * _ramp(right - left, overlap, left > 0, right < width, y)[None, :]
            if total is None:
                total = y.new_zeros((y.shape[0], y.shape[1], height, width))
            total[..., top:bottom, left:right] += y * ramp
            weight[..., top:bottom, left:right] += ramp
    assert total is not None
    return total / weight


def _spans(length: int, side: int, overlap: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Equal tiles of at most `side` that cover `length` and share at least about `overlap` pixels.

    They start at multiples of `multiple`: so strided layers sample each of them where they sample the whole frame.
    """
    if length <= side:
        yield 0, length
        return
    count = -(-(length - overlap) // (side - overlap))
    for number in range(count):
        start = round(number * (length - side) / (count - 1)) // multiple * multiple
        yield start, min(start + side, length) if number < count - 1 else length


def _ramp(length: int, overlap: int, fade_in: bool, fade_out: bool, like: Tensor) -> Tensor:
    ramp = torch.ones(length, device=like.device)
    edge = (torch.arange(overlap, device=like.device) + 0.5) / overlap
    if fade_in:
        ramp[:overlap] = edge
    if fade_out:
        ramp[-overlap:] = torch.minimum(ramp[-overlap:], edge.flip(0))
    return ramp
