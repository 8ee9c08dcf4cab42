"""DeblurGAN's generator (Kupyn et al. 2018, arXiv 1711.07064): nine residual blocks at a quarter of the resolution.

Beside it as a baseline, and as one of the two networks that Reblur2Deblur adapts. Knows no critic, no loss, no video.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import InstanceNorm


class ReflectedResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with mirrored borders at a quarter of the resolution, dropout between them, and a skip."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        # No bias before a normalisation: it would be subtracted again.
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm1 = InstanceNorm(channels, scale=4)
        self.dropout = nn.Dropout(dropout)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm2 = InstanceNorm(channels, scale=4)

    def correction(self, x: Tensor) -> Tensor:
        """What the block adds to [B, C, H, W]."""
        y = self.dropout(F.relu(self.norm1(self.convolution1(x))))
        return self.norm2(self.convolution2(y))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.correction(x)


class DeblurGANGenerator(RestorationNetwork):
    """A correction to one blurred frame. Input [B, 3, H, W] in [0, 1], output [B, 3, H, W]; H, W multiples of 8.

    As published: 7 x 7, two strided 3 x 3, residual blocks, two transposed 3 x 3, 7 x 7, tanh, and the input added.
    Unlike it: values are in [0, 1], so the tanh, made for [-1, 1], is halved; the sum is not clamped, for a clamp
    gives no gradient to what is beyond it and whoever writes the frame clamps anyway; dropout acts in training alone;
    the last convolution starts at zero, so that the untrained network returns its input.

    width: channels at full resolution, twice and four times as many below; 64 as published (11.4 million parameters,
    22.7 MB in half precision). blocks: residual blocks. dropout: probability within a block.
    """

    training_patch = 128
    size_multiple = 8  # 4 would divide evenly, but a map of one pixel has no border to mirror
    tile_overlap = 128  # the smallest tile is then larger than a training patch: it pools locally, as whole frames do

    def __init__(self, width: int = 64, blocks: int = 9, dropout: float = 0.5) -> None:
        super().__init__()
        self.intro = nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect", bias=False)
        self.intro_norm = InstanceNorm(width, scale=1)
        self.down1 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.down1_norm = InstanceNorm(2 * width, scale=2)
        self.down2 = nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False)
        self.down2_norm = InstanceNorm(4 * width, scale=4)
        self.blocks = nn.Sequential(*[ReflectedResidualBlock(4 * width, dropout) for _ in range(blocks)])
        self.up1 = nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.up1_norm = InstanceNorm(2 * width, scale=2)
        self.up2 = nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.up2_norm = InstanceNorm(width, scale=1)
        self.outro = nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect")
        nn.init.zeros_(self.outro.weight)
        assert self.outro.bias is not None
        nn.init.zeros_(self.outro.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.intro_norm(self.intro(2.0 * x - 1.0)))
        y = F.relu(self.down1_norm(self.down1(y)))
        y = F.relu(self.down2_norm(self.down2(y)))
        y = self.blocks(y)
        y = F.relu(self.up1_norm(self.up1(y)))
        y = F.relu(self.up2_norm(self.up2(y)))
        return x + 0.5 * torch.tanh(self.outro(y))
