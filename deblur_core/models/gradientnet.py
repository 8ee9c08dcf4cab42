"""Structure-guided deblurring: a U-Net with GradientNet at its narrowest place, and its PatchGAN critic (Qi 2022).

After "Structures Guided Dynamic Scene Deblurring Method", Fig. 1 and 2, section 3.1; the rows of its Table 5 are
options. GradientNet itself is in gradient_blocks.py. Knows no loss and no training.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.errors import SettingsError
from deblur_core.models.gradient_blocks import GradientNet
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import InstanceNorm

BOTTLENECK_SCALE = 4  # two strided layers

ABLATIONS: dict[str, Mapping[str, bool]] = {
    "w/o RGCL": {"gradient_layers": False},
    "w/o MBRBs": {"multi_branch": False},
    "w/o GradientNet": {"gradient_net": False},
    "ours": {},
}
"""Table 5's rows as options of GradientGuidedUNet; Table 4's rows leave the network alone and change the loss"""


def image_gradient(image: Tensor) -> Tensor:
    """Forward differences of [B, 3, H, W]: [B, 6, H, W], to the right for R, G, B, then downwards for R, G, B.

    The last column and the last row, which have no neighbour, are 0. These are the ∇_h and ∇_v of Eq. 9.
    """
    right = F.pad(image[..., :, 1:] - image[..., :, :-1], (0, 1))
    down = F.pad(image[..., 1:, :] - image[..., :-1, :], (0, 0, 0, 1))
    return torch.cat((right, down), 1)


def _normed(convolution: nn.Module, channels: int, scale: int) -> nn.Sequential:
    return nn.Sequential(convolution, InstanceNorm(channels, scale), nn.ReLU())


class GradientGuidedUNet(RestorationNetwork):
    """Input [B, 3, H, W] in [0, 1], blurred; output [B, 3, H, W]; H, W multiples of 4.

    gradient_net False leaves GradientNet out (Table 5), gradient_layers False its RGCLs, for which plain convolutions
    stand, multi_branch False the three paths of its MBRBs, of which one stays. blocks, recurrences: MBRBs, and turns of
    an RGCL. width: channels of the first layer; gradient_channels: of GradientNet. Raises SettingsError for options
    out of range.

    The paper's text leaves widths and most kernels out; those chosen here come to 452 GFLOP at 720 × 1280, two
    operations a multiply-add, where Table 3 says 447. The U-Net is 7 × 7 at 32 channels, two strided 3 × 3 layers to
    64 and 128, two transposed ones back, and 7 × 7 with tanh; skips are stacked. GradientNet's features, at a
    quarter of the size, are brought to 128 channels and added to the encoder's. Ours: the gradients of the sharp
    picture are read from GradientNet's features by one layer as a change of the blurred ones', and the last layer sees
    them beside its features, so that what the gradient loss teaches also guides the picture. The tanh gives a change of
    the blurred picture, and both last layers are zero at first.
    """

    training_patch = 128
    size_multiple = 4
    tile_overlap = 96  # no tile is then smaller than a pooling window of 192 pixels

    def __init__(
        self,
        width: int = 32,
        gradient_channels: int = 64,
        blocks: int = 10,
        recurrences: int = 3,
        gradient_net: bool = True,
        gradient_layers: bool = True,
        multi_branch: bool = True,
    ) -> None:
        super().__init__()
        if min(width, gradient_channels, blocks, recurrences) < 1:
            raise SettingsError(
                f"GradientGuidedUNet: width {width}, gradient_channels {gradient_channels}, blocks {blocks} and "
                f"recurrences {recurrences} must all be at least 1 (gradient_net=False leaves GradientNet out)"
            )
        half, quarter = 2 * width, 4 * width
        # Instance normalisation takes the mean out again: a bias before it would never learn.
        self.enter = _normed(nn.Conv2d(3, width, 7, padding=3, bias=False), width, 1)
        self.down_half = _normed(nn.Conv2d(width, half, 3, 2, 1, bias=False), half, 2)
        self.down_quarter = _normed(nn.Conv2d(half, quarter, 3, 2, 1, bias=False), quarter, 4)
        self.up_half = _normed(nn.ConvTranspose2d(quarter, half, 3, 2, 1, 1, bias=False), half, 2)
        self.up_whole = _normed(nn.ConvTranspose2d(2 * half, width, 3, 2, 1, 1, bias=False), width, 1)
        self.gradient_net: GradientNet | None = None
        if gradient_net:
            self.gradient_net = GradientNet(
                quarter,
                gradient_channels,
                BOTTLENECK_SCALE,
                blocks,
                3 if multi_branch else 1,
                gradient_layers,
                recurrences,
            )
            self.rejoin = nn.Conv2d(gradient_channels, quarter, 3, padding=1)
            self.gradient_head = nn.Conv2d(gradient_channels, 6 * BOTTLENECK_SCALE**2, 3, padding=1)
        self.outro = nn.Conv2d(2 * width + (6 if gradient_net else 0), 3, 7, padding=3)
        for last in (self.outro, *([self.gradient_head] if gradient_net else [])):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_with_gradient(x)[0]

    def forward_with_gradient(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The restored picture [B, 3, H, W], and GradientNet's own prediction of its gradients, [B, 6, H, W] as
        `image_gradient` gives them, for the gradient loss (Eq. 9). The latter is None without GradientNet."""
        whole = self.enter(x)
        half = self.down_half(whole)
        y = self.down_quarter(half)
        gradient: Tensor | None = None
        if self.gradient_net is not None:
            structure = self.gradient_net(y)
            y = y + self.rejoin(structure)
            change = F.pixel_shuffle(self.gradient_head(structure), BOTTLENECK_SCALE)
            gradient = image_gradient(x) + change
        y = self.up_half(y)
        y = self.up_whole(torch.cat((y, half), 1))
        seen = [y, whole] if gradient is None else [y, whole, gradient.to(y.dtype)]
        return x + torch.tanh(self.outro(torch.cat(seen, 1))), gradient


class PatchCritic(nn.Module):
    """PatchGAN of 70 × 70 pixels (section 3.1.3): [B, 3, H, W] -> [B, 1, H/8 - 2, W/8 - 2], one score a patch.

    Four 4 × 4 layers of 64, 128, 256 and 512 channels, the first three strided, and one to a single channel; leaky
    ReLU 0.2 and instance normalisation but after the first and last. The paper speaks of probabilities, but WGAN-GP
    (Eq. 10) needs scores without bounds and without statistics of a batch: there is no sigmoid. Sides from 32 pixels.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for channels, after, stride in ((width, 2, 2), (2 * width, 2, 2), (4 * width, 2, 1)):
            layers += [
                nn.Conv2d(channels, after * channels, 4, stride, 1, bias=False),
                InstanceNorm(after * channels),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
