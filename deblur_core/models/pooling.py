"""Statistics of feature maps: over the whole frame while training on patches, over windows of a patch's size after it.

A network that learnt its pooling on patches meets other statistics on a full frame; windows of the patch's size keep
them (TLC, Chu et al. 2022, arXiv 2112.04491), and make a tile's result depend on what is near it alone. Knows no
architecture.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pool(x: Tensor, window: int | None) -> Tensor:
    """Mean of each channel of [B, C, H, W], over the whole map (None) or over overlapping windows of `window` pixels.

    Returns a coarse grid [B, C, h, w], 1 × 1 where one window holds the whole map: far cheaper than a dense box filter.
    """
    if window is None or (x.shape[2] <= window and x.shape[3] <= window):
        return x.mean((2, 3), keepdim=True)
    rows, columns = min(window, x.shape[2]), min(window, x.shape[3])
    return F.avg_pool2d(x, (rows, columns), stride=(max(rows // 4, 1), max(columns // 4, 1)))


def spread(grid: Tensor, like: Tensor, window: int | None) -> Tensor:
    """A grid of `pool`, or what a point-wise layer made of it, linearly interpolated at every pixel of `like`.

    Returns [B, C, H, W] in channels-last memory, or the grid as it is where it is 1 × 1.
    """
    if window is None or grid.shape[2:] == (1, 1):
        return grid
    height, width = like.shape[2:]
    down = _interpolation(height, min(window, height), grid.shape[2], grid)
    across = _interpolation(width, min(window, width), grid.shape[3], grid)
    # Two small products of matrices: several times faster than interpolating and then padding.
    with torch.autocast(grid.device.type, enabled=False):
        points = grid.permute(0, 2, 3, 1)
        rows = (down @ points.flatten(2)).unflatten(2, points.shape[2:])
        return (across @ rows).permute(0, 3, 1, 2)


def _interpolation(length: int, window: int, points: int, like: Tensor) -> Tensor:
    """[length, points]: weight of each window's mean at each pixel; from the centre of the outer windows on, theirs."""
    room = length - window
    place = (torch.arange(length, device=like.device) - window // 2).clamp_(0, room) * ((points - 1) / max(room, 1))
    weights = 1.0 - (place[:, None] - torch.arange(points, device=like.device)).abs_()
    return weights.clamp_(min=0.0).to(like.dtype)


def pooled(x: Tensor, window: int | None) -> Tensor:
    """Mean of each channel of [B, C, H, W] around each pixel: `pool`, then `spread`."""
    return spread(pool(x, window), x, window)


class PooledLayer(nn.Module):
    """A layer that takes statistics over the frame. scale: how many input pixels one of its pixels stands for."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.window: int | None = None


def pool_locally(network: nn.Module, patch: int | None) -> None:
    """Makes every layer pool over the area that a training patch of `patch` pixels covered (None: whole frame)."""
    for module in network.modules():
        if isinstance(module, PooledLayer):
            module.window = None if patch is None else max(patch // module.scale, 1)


class InstanceNorm(PooledLayer):
    """Instance normalisation (Ulyanov et al. 2016) without learnt scale, [B, C, H, W]; in float32 under autocast."""

    def __init__(self, channels: int, scale: int = 1, eps: float = 1e-5) -> None:
        super().__init__(scale)
        self.channels = channels
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if self.window is None or max(x.shape[2:]) <= self.window:
            return F.instance_norm(x.float(), eps=self.eps).to(x.dtype)
        wide = x.float()
        mean = pooled(wide, self.window)
        variance = (pooled(wide.square(), self.window) - mean.square()).clamp_(min=0.0)
        return ((wide - mean) * torch.rsqrt(variance + self.eps)).to(x.dtype)
