"""GradientNet: the part of the structure-guided deblurring network that works out where a picture's edges are.

After Qi 2022, "Structures Guided Dynamic Scene Deblurring Method", section 3.1.2, Eq. 2 to 7, Fig. 2 and 3. Features
in, features out; knows nothing of the U-Net around it nor of pictures.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.pooling import PooledLayer, pooled

LEAK = 0.2


class ChannelAttention(PooledLayer):
    """CA: squeeze and excitation of channels, [B, C, H, W] -> the same, each channel weighted by 0 … 1.

    Reduction 16 as in SENet. Its few squeezed units are leaky, so that none of them is dead from the start.
    """

    def __init__(self, channels: int, scale: int, reduction: int = 16) -> None:
        super().__init__(scale)
        squeezed = max(channels // reduction, 1)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.leaky_relu(self.squeeze(pooled(x, self.window)), LEAK)
        return x * torch.sigmoid(self.excite(squeezed))


class RecurrentGradientConvolution(nn.Module):
    """RGCL (Eq. 7, Fig. 3): a 1 × 3 and a 3 × 1 convolution side by side, `recurrences` times over, and attention.

    The same weights serve every turn. Silent in the paper: the convolution after the leaky ReLU is 1 × 1 and takes
    part in the turns; the sigmoid follows the last.
    """

    def __init__(self, channels: int, scale: int, recurrences: int) -> None:
        super().__init__()
        self.recurrences = recurrences
        self.horizontal = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1))
        self.vertical = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=False)
        self.join = nn.Conv2d(channels, channels, 1)
        self.attention = ChannelAttention(channels, scale)
        for convolution in (self.horizontal, self.vertical, self.join):
            # Nine layers in a row without normalisation: a smaller start would leave the sigmoid nothing to see.
            nn.init.kaiming_normal_(convolution.weight, a=LEAK)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for _ in range(self.recurrences):
            y = self.join(F.leaky_relu(self.horizontal(y) + self.vertical(y), LEAK))
        return self.attention(torch.sigmoid(y)) + x


class MultiBranchReuseBlock(nn.Module):
    """MBRB (Eq. 5, 6): `paths` gradient layers on the same features, stacked, weighted by channel, fused, added back.

    gradient_layers False puts plain 3 × 3 convolutions with ReLU in their place (Table 5, w/o RGCL); paths 1 is the
    single path of Table 5, w/o MBRBs. Silent in the paper: of the two convolutions after the attention the first,
    which only fuses, is 1 × 1, the second 3 × 3.
    """

    def __init__(self, channels: int, scale: int, paths: int, gradient_layers: bool, recurrences: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            RecurrentGradientConvolution(channels, scale, recurrences)
            if gradient_layers
            else nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
            for _ in range(paths)
        )
        self.attention = ChannelAttention(paths * channels, scale)
        self.fuse = nn.Conv2d(paths * channels, channels, 1)
        self.refine = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        stacked = torch.cat([path(x) for path in self.paths], 1)
        return self.refine(F.relu(self.fuse(self.attention(stacked)))) + x


class GradientNet(nn.Module):
    """PRFTM, then MBRU: `blocks` MBRBs in a row and channel attention. [B, `inputs`, H, W] -> [B, `channels`, H, W].

    scale: how many pixels of the picture one pixel of its features stands for. Silent in the paper: a ReLU stands
    between PRFTM's two convolutions.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        scale: int,
        blocks: int,
        paths: int,
        gradient_layers: bool,
        recurrences: int,
    ) -> None:
        super().__init__()
        self.transition = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.blocks = nn.Sequential(
            *[MultiBranchReuseBlock(channels, scale, paths, gradient_layers, recurrences) for _ in range(blocks)]
        )
        self.attention = ChannelAttention(channels, scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.blocks(self.transition(x)))
