"""A half-resolution NAFNet that sees a blurred frame and its two nearest sharp frames, aligned. Ours.

Blocks after Chen et al. 2022 (NAFNet, arXiv 2204.04676): no activation, a gate of two halves and a simplified channel
attention. It works after a factor-2 pixel unshuffle and adds a correction to the blurred frame. Knows neither how
neighbours are found nor how they are aligned.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REFERENCES = 2
INPUT_CHANNELS = 3 + REFERENCES * 4  # the frame; each reference as RGB and validity


class ChannelNorm(nn.Module):
    """Layer normalisation over channels at each pixel, [B, C, H, W]; computed in float32 under autocast."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        # On channels-last memory the permutation is free and the fused kernel a third faster than spelling it out.
        out = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), self.weight, self.bias, 1e-6)
        return out.permute(0, 3, 1, 2)


def gate(x: Tensor) -> Tensor:
    """SimpleGate: the product of the two halves of the channels (NAFNet, Eq. 4)."""
    first, second = x.chunk(2, dim=1)
    return first * second


def pooled(x: Tensor, window: int | None) -> Tensor:
    """Mean of each channel, over the whole frame or over a local window.

    A net that learnt its pooling on patches meets other statistics on a full frame; a window of the patch's size
    keeps them (TLC, Chu et al. 2022). Returns [B, C, 1, 1] or [B, C, H, W].
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


class Block(nn.Module):
    """NAFBlock: depth-wise convolution with channel attention, then a gated point-wise layer, both residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.spatial = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.window: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = gate(self.spatial(self.expand(self.norm1(x))))
        y = y * self.attention(pooled(y, self.window))
        x = x + self.project(y) * self.beta
        return x + self.narrow(gate(self.widen(self.norm2(x)))) * self.gamma


class NeighbourNAFNet(nn.Module):
    """U-shaped NAFNet at half resolution. Input [B, 11, H, W] in [0, 1], output [B, 3, H, W]; H, W multiples of 16."""

    size_multiple = 16

    def __init__(self, width: int = 32, encoder: Sequence[int] = (1, 1, 8), middle: int = 1) -> None:
        super().__init__()
        self.intro = nn.Conv2d(INPUT_CHANNELS * 4, width, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        channels = width
        for blocks in encoder:
            self.encoders.append(nn.Sequential(*[Block(channels) for _ in range(blocks)]))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
            channels *= 2
        self.middle = nn.Sequential(*[Block(channels) for _ in range(middle)])
        for _ in encoder:
            self.ups.append(nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2)))
            channels //= 2
            self.decoders.append(Block(channels))
        self.outro = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(self.outro.weight)
        nn.init.zeros_(self.outro.bias if self.outro.bias is not None else torch.empty(0))

    def pool_locally(self, patch: int | None) -> None:
        """Makes every block pool over the area that a training patch of `patch` pixels covered (None: whole frame)."""
        stages = [*self.encoders, self.middle, *self.decoders]
        depths = [*range(len(self.encoders)), len(self.encoders), *reversed(range(len(self.encoders)))]
        for stage, depth in zip(stages, depths, strict=True):
            for module in stage.modules():
                if isinstance(module, Block):
                    module.window = None if patch is None else max(patch >> (1 + depth), 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.intro(F.pixel_unshuffle(x, 2))
        skips = []
        for encode, down in zip(self.encoders, self.downs, strict=True):
            y = encode(y)
            skips.append(y)
            y = down(y)
        y = self.middle(y)
        for up, decode, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            y = decode(up(y) + skip)
        return x[:, :3] + F.pixel_shuffle(self.outro(y), 2)
