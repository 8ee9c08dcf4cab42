"""Statistics of feature maps: over the whole frame while training on patches, over windows of a patch's size after it.

A network that learnt its pooling on patches meets other statistics on a full frame; windows of the patch's size keep
them (TLC, Chu et al. 2022, arXiv 2112.04491), and make a tile's result depend on what is near it alone. Knows no
architecture.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pooled(x: Tensor, window: int | None) -> Tensor:
    """Mean of each channel of [B, C, H, W], over the whole map (None) or over a local window of `window` pixels.

    Returns [B, C, 1, 1] or [B, C, H, W].
    """
    if window is None or (x.shape[2] <= window and x.shape[3] <= window):
        return x.mean((2, 3), keepdim=True)
    rows, columns = min(window, x.shape[2]), min(window, x.shape[3])
    # Means over a coarse grid of overlapping windows, interpolated: far cheaper than the dense box filter.
    stride = (max(rows // 4, 1), max(columns // 4, 1))
    grid = F.avg_pool2d(x, (rows, columns), stride=stride)
    pad_rows, pad_columns = x.shape[2] - rows, x.shape[3] - columns
    inner = F.interpolate(grid, size=(pad_rows + 1, pad_columns + 1), mode="bilinear", align_corners=True)
    top, left = rows // 2, columns // 2
    return F.pad(inner, (left, columns - 1 - left, top, rows - 1 - top), mode="replicate")


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
