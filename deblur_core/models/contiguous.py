"""Seven sharp frames out of one blurred one, and the discriminator of its adversarial training (Niu et al. 2021).

After "Contiguous Loss for Motion-Based, Non-Aligned Image Deblurring" (Symmetry 13, 630), Tables 1 and 2. Knows no
loss and no training.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.errors import SettingsError
from deblur_core.models.luminance import luma, with_luma_changed
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import pooled

MOMENTS = 7


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions, ReLU between them and none after, added to what came in (Table 1, L3 to L28)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class SequenceResNet(RestorationNetwork):
    """Input [B, 3, H, W] in [0, 1], blurred; output [B, 21, H, W]: RGB of 7 moments of the exposure, oldest first.

    Table 1 at its published widths: 16 and `width` channels, 13 residual blocks, 4 × `width` twice, then the frames.
    luminance: only luma goes in and 7 lumas come out, and every frame takes the blurred one's chrominance (the paper's
    text); else colours in and out (Table 1's 21 channels). unshuffle: 1 as published, where no layer scales; 2 is ours
    and works on the four pixels of each 2 × 2 square as channels, at a quarter of the operations. H, W are multiples of
    it. Raises SettingsError for options out of range.

    Where the paper contradicts itself (13 residual blocks, of which it lists 12, and L27 and L28 without a skip,
    though L26 skips to L28), Table 1's column of skips and Fig. 2's 15 blocks hold: L27 and L28 are the thirteenth, and
    L2 is added after it. Ours: the last layer, zero at first, gives changes of the blurred frame and not the frames.
    """

    outputs = MOMENTS
    tile_overlap = 64

    def __init__(self, width: int = 64, blocks: int = 13, luminance: bool = False, unshuffle: int = 1) -> None:
        super().__init__()
        if min(width, blocks, unshuffle) < 1:
            raise SettingsError(
                f"SequenceResNet: width {width}, blocks {blocks} and unshuffle {unshuffle} must all be at least 1"
            )
        self.luminance = luminance
        self.unshuffle = self.size_multiple = unshuffle
        colours, square = 1 if luminance else 3, unshuffle**2
        self.enter = nn.Conv2d(colours * square, 16, 3, padding=1)
        self.widen = nn.Conv2d(16, width, 3, padding=1)
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(blocks)])
        self.gather = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.order = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.outro = nn.Conv2d(4 * width, MOMENTS * colours * square, 3, padding=1)
        nn.init.zeros_(self.outro.weight)
        nn.init.zeros_(self.outro.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        y = F.pixel_unshuffle(luma(x) if self.luminance else x, self.unshuffle)
        y = F.relu(self.widen(F.relu(self.enter(y))))
        y = y + self.blocks(y)
        change = F.pixel_shuffle(self.outro(F.relu(self.order(F.relu(self.gather(y))))), self.unshuffle)
        still = x.repeat(1, MOMENTS, 1, 1)
        return with_luma_changed(still, change) if self.luminance else still + change


class SequenceDiscriminator(nn.Module):
    """VGG-like judge of single frames (Table 2): [B, `channels`, H, W] -> logits [B, 2], restored and sharp.

    16 3 × 3 convolutions of 64, 128, 256 and 512 channels with batch normalisation and ReLU, then 4096, 4096 and 2
    units, between which Table 2 has neither. `width` 64 and `units` 4096 are published. Silent in the paper: the last
    convolution of each width is strided where VGG would pool (Radford et al., whom it follows, pool nowhere), and the
    mean over the frame leads to the units, so that any patch from 32 pixels fits.
    """

    def __init__(self, channels: int = 3, width: int = 64, units: int = 4096) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for multiple, count in ((1, 2), (2, 4), (4, 5), (8, 5)):
            for number in range(count):
                after, stride = multiple * width, 2 if number + 1 == count else 1
                # Batch normalisation takes the mean out again: a bias before it would never learn.
                layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
                before = after
        self.layers = nn.Sequential(*layers)
        self.judge = nn.Sequential(nn.Linear(before, units), nn.Linear(units, units), nn.Linear(units, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.judge(pooled(self.layers(x), None).flatten(1))

    def probability(self, x: Tensor) -> Tensor:
        """D(x) of Eq. 3: how surely each frame is a sharp one, [B, C, H, W] -> [B] in 0 … 1."""
        return torch.softmax(self(x), 1)[:, 1]
