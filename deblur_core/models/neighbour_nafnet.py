"""A NAFNet at half or quarter resolution that sees a blurred frame and its two nearest sharp frames, aligned. Ours.

Blocks after Chen et al. 2022 (NAFNet, arXiv 2204.04676): no activation, a gate of two halves and a simplified channel
attention. It works on a pixel-unshuffled picture and adds a correction to the blurred frame. Knows neither how
neighbours are found nor how they are aligned.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import PooledLayer, pool, spread


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


class Block(PooledLayer):
    """NAFBlock: depth-wise convolution with channel attention, then a gated point-wise layer, both residual."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__(scale)
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.spatial = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = gate(self.spatial(self.expand(self.norm1(x))))
        # Point-wise, so that it may come before the interpolation.
        y = y * spread(self.attention(pool(y, self.window)), y, self.window)
        # Scales of the activations' own type: with others half precision would end here, and with it the speed.
        x = x + self.project(y) * self.beta.to(y.dtype)
        return x + self.narrow(gate(self.widen(self.norm2(x)))) * self.gamma.to(y.dtype)


class NeighbourNAFNet(RestorationNetwork):
    """U-shaped NAFNet. Input [B, 11, H, W] in [0, 1], output [B, 3, H, W]; H, W multiples of `size_multiple`."""

    references = 2

    def __init__(
        self,
        width: int = 32,
        encoder: Sequence[int] = (1, 1, 8),
        middle: int = 1,
        references: int = 2,
        passes: int = 3,
        unshuffle: int = 2,
        flips: Sequence[Sequence[int]] = ((),),
    ) -> None:
        """references: 2, or 0 for a network of the blurred frame alone; passes: see RestorationNetwork; unshuffle: by
        how much the picture is folded into channels before anything else, 2 or the fast form's 4; flips: see
        RestorationNetwork."""
        super().__init__()
        self.unshuffle = unshuffle
        self.flips = tuple(tuple(axes) for axes in flips)
        self.size_multiple = unshuffle * 2 ** len(encoder)
        self.references = references
        self.passes = passes if references else 1
        self.intro = nn.Conv2d(self.input_channels * unshuffle**2, width, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        channels, scale = width, unshuffle
        for blocks in encoder:
            self.encoders.append(nn.Sequential(*[Block(channels, scale) for _ in range(blocks)]))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
            channels, scale = 2 * channels, 2 * scale
        self.middle = nn.Sequential(*[Block(channels, scale) for _ in range(middle)])
        for _ in encoder:
            self.ups.append(nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2)))
            channels, scale = channels // 2, scale // 2
            self.decoders.append(Block(channels, scale))
        self.outro = nn.Conv2d(width, 3 * unshuffle**2, 3, padding=1)
        nn.init.zeros_(self.outro.weight)
        nn.init.zeros_(self.outro.bias if self.outro.bias is not None else torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        y = self._enter(x)
        skips = []
        for encode, down in zip(self.encoders, self.downs, strict=True):
            y = encode(y)
            skips.append(y)
            y = down(y)
        y = self.middle(y)
        for up, decode, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            y = decode(up(y) + skip)
        return x[:, :3] + F.pixel_shuffle(self.outro(y), self.unshuffle)

    def _enter(self, x: Tensor) -> Tensor:
        """`intro` of the unshuffled input, as one strided convolution: unshuffling alone takes half as long again."""
        fold, weight = self.unshuffle, self.intro.weight
        weight = weight.unflatten(1, (self.input_channels, fold, fold)).permute(0, 1, 4, 2, 5, 3)
        weight = weight.reshape(len(weight), self.input_channels, 3 * fold, 3 * fold)
        return F.conv2d(x, weight, self.intro.bias, stride=fold, padding=fold)
