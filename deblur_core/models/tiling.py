"""Runs a fully convolutional network over frames of any size: padding to its multiple, tiles where memory asks for it.

Tiles overlap and are blended linearly, so that no seam shows. Where the GPU has no room for one after all, it is done
in smaller ones; those that are finished are kept. Knows no architecture.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.errors import DeviceMemoryError

log = logging.getLogger(__name__)

Network = Callable[[Tensor], Tensor]


@dataclass
class TileSize:
    """most_pixels: of a tile; it shrinks where the GPU had no room for one, and stays so."""

    most_pixels: int


def run_padded(network: Network, x: Tensor, multiple: int) -> Tensor:
    """Applies `network` to [B, C, H, W] of any size by padding right and bottom with the border's pixels."""
    height, width = x.shape[2:]
    pad = (-width % multiple, -height % multiple)
    y = network(F.pad(x, (0, pad[0], 0, pad[1]), mode="replicate")) if any(pad) else network(x)
    return y[..., :height, :width]


def run_tiled(network: Network, x: Tensor, multiple: int, size: TileSize, overlap: int = 64) -> Tensor:
    """Applies `network` to [B, C, H, W] in tiles of at most about `size.most_pixels`; one pass where the frame fits.

    overlap: pixels that neighbouring tiles share; a multiple of `multiple`. Returns [B, C', H, W] float32. Raises
    DeviceMemoryError where the GPU has no room for the smallest tile, of twice the overlap, either.
    """
    height, width = x.shape[2:]
    planned = size.most_pixels
    if height * width <= planned:
        return _run_or_split(network, x, multiple, size, planned, overlap)
    side = max(int(planned**0.5) // multiple * multiple, 2 * overlap)
    total: Tensor | None = None
    weight = x.new_zeros((1, 1, height, width), dtype=torch.float32)
    for top, bottom in _spans(height, side, overlap, multiple):
        for left, right in _spans(width, side, overlap, multiple):
            tile = x[..., top:bottom, left:right].contiguous()
            y = _run_or_split(network, tile, multiple, size, planned, overlap)
            ramp = _ramp(bottom - top, overlap, top > 0, bottom < height, y)[:, None]
            ramp = ramp * _ramp(right - left, overlap, left > 0, right < width, y)[None, :]
            if total is None:
                total = y.new_zeros((y.shape[0], y.shape[1], height, width))
            total[..., top:bottom, left:right] += y * ramp
            weight[..., top:bottom, left:right] += ramp
    assert total is not None
    return total / weight


def _run_or_split(network: Network, x: Tensor, multiple: int, size: TileSize, planned: int, overlap: int) -> Tensor:
    """One pass, or several over parts of it where the GPU has no room for one: because something else has taken it.

    planned: `size.most_pixels` when x was cut; if it is smaller by now, x is cut again.
    """
    height, width = x.shape[2:]
    is_smallest = max(height, width) <= 2 * overlap + multiple
    if size.most_pixels == planned or height * width <= size.most_pixels or is_smallest:
        try:
            return run_padded(network, x, multiple).float()
        except torch.OutOfMemoryError as error:
            if is_smallest:
                raise DeviceMemoryError(
                    f"the GPU has no room for a tile of {width} × {height} pixels: something else fills its memory; "
                    "end that, or give this GPU fewer actors"
                ) from error
        # Not inside `except`: there the error still holds what the failed pass has taken.
        if x.is_cuda:
            torch.cuda.empty_cache()
        size.most_pixels = height * width // 2
        log.warning("the GPU has no room for %d × %d pixels: tiles are half as large from now on", width, height)
    return run_tiled(network, x, multiple, size, overlap)


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
