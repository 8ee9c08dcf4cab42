"""DeblurNet's three networks (Nahli et al. 2021, doi 10.1109/ACCESS.2021.3074199): generator, critic, selector.

Tables 1, 2 and 3 of the paper, and its text where a table contradicts it: instance normalisation in place of the
tables' batch normalisation, leaky ReLUs, an input-to-output skip. Knows no loss, no schedule and no video.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import InstanceNorm

_CRITIC_GROUPS = ((64, 2), (128, 3), (256, 4), (512, 5))  # Table 2, layers 1 to 14: channels, layers
_FULLY_CONNECTED = 4096
_CRITIC_SLOPE, _SELECTOR_SLOPE = 0.2, 0.3
_SELECTOR_LAYERS = (*((64, 5),) * 2, *((128, 3),) * 4, *((512, 3),) * 3)  # Table 3, layers 1 to 9: channels, side
_SELECTOR_STRIDED = (2, 3, 5, 7)
_SELECTOR_GRID = (2, 4)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions at half resolution, each normalised, and a skip: layers x and x + 1 of Table 1.

    The paper drops values when it restores as well; here that happens in training alone, for the same frame of an
    archive must give the same result every time.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        # No bias before a normalisation: it would be subtracted again.
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = InstanceNorm(channels, scale=2)
        self.dropout = nn.Dropout(dropout)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = InstanceNorm(channels, scale=2)

    def correction(self, x: Tensor) -> Tensor:
        """What the block adds to [B, C, H, W]."""
        y = self.dropout(F.relu(self.norm1(self.convolution1(x))))
        return self.norm2(self.convolution2(y))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.correction(x)


class DeblurNetGenerator(RestorationNetwork):
    """Table 1: a correction to one blurred frame. Input and output [B, 3, H, W], input in [0, 1]; H and W even.

    The text has two strided and two transposed convolutions, the table none. The paper's 527.64 GFLOP at 720 x 1280
    fit one factor-2 stage: layer 1 takes every second pixel (its 16 channels hold the 12 values of 2 x 2 pixels), and
    after layer 37 the pixels are shuffled back and a 3 x 3 convolution makes RGB of them, at the cost of a 3 x 3
    transposed convolution without its checkerboard. That is 528.9 GFLOP, two operations a multiply-add, without layers
    33 and 34: the 32 convolutions of layers 3 to 34 alone would take 543.6. `pair` puts those two in (562.9 GFLOP).
    The skips of layers 2 and 32 join layer 36 before its activation.

    blocks: residual blocks, layers 3 to 32; dropout: probability after a block's first convolution, in training only.
    """

    training_patch = 128
    size_multiple = 2
    tile_overlap = 128  # the smallest tile is then larger than a training patch: it pools locally, as whole frames do

    def __init__(self, channels: int = 64, blocks: int = 15, dropout: float = 0.5, pair: bool = False) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, channels // 4, 7, stride=2, padding=3)
        self.layer2 = nn.Conv2d(channels // 4, channels, 5, padding=2)
        self.blocks = nn.Sequential(*[ResidualBlock(channels, dropout) for _ in range(blocks)])
        self.pair = nn.Sequential()
        if pair:
            self.pair = nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                InstanceNorm(channels, scale=2),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                InstanceNorm(channels, scale=2),
            )
        self.layer35 = nn.Conv2d(channels, channels, 1)
        self.layer36 = nn.Conv2d(channels, channels, 1)
        self.layer37 = nn.Conv2d(channels, channels, 1)
        self.to_rgb = nn.Conv2d(channels // 4, 3, 3, padding=1)
        # It starts as the identity: a short training then begins at the blurred frame, not below it.
        nn.init.zeros_(self.to_rgb.weight)
        _zero_bias(self.to_rgb)

    def forward(self, x: Tensor) -> Tensor:
        shallow = F.relu(self.layer2(F.relu(self.layer1(x))))
        deep = self.blocks(shallow)
        y = F.relu(self.layer35(self.pair(deep)))
        y = F.relu(self.layer36(y) + shallow + deep)
        return x + self.to_rgb(F.pixel_shuffle(self.layer37(y), 2))


class DeblurNetCritic(nn.Module):
    """Table 2: how real frames look, for WGAN-GP (no sigmoid). Input [B, 3, H, W], H and W at least 64; output [B].

    Fourteen 3 x 3 convolutions, then three fully connected layers. The paper leaves the strides open: the last layer
    of each width has one of 2. It also leaves open how layers of fixed size meet patches of any: the map is averaged
    first, as PatchGAN, which the text names, averages its scores. The last convolution is not normalised (text), so
    that this average says something. One score where Table 2 has two classes: a Wasserstein critic has no classes.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, scale = 3, 1
        for width, count in _CRITIC_GROUPS:
            for number in range(count):
                stride = 2 if number == count - 1 else 1
                scale *= stride
                last = width == _CRITIC_GROUPS[-1][0] and number == count - 1
                layers.append(nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=last))
                layers += [] if last else [InstanceNorm(width, scale)]
                layers.append(nn.LeakyReLU(_CRITIC_SLOPE))
                channels = width
        self.convolutions = nn.Sequential(*layers)
        self.scores = nn.Sequential(
            nn.Linear(channels, _FULLY_CONNECTED),
            nn.LeakyReLU(_CRITIC_SLOPE),
            nn.Linear(_FULLY_CONNECTED, _FULLY_CONNECTED),
            nn.LeakyReLU(_CRITIC_SLOPE),
            nn.Linear(_FULLY_CONNECTED, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Raises ValueError for patches below 64 pixels: the last maps would be too small to be normalised."""
        if min(x.shape[2:]) < 64:
            raise ValueError(f"DeblurNetCritic: patches of {x.shape[2]} x {x.shape[3]} are too small, give 64 or more")
        return self.scores(self.convolutions(x).mean((2, 3)))[:, 0]


class DeblurNetSelectorNetwork(nn.Module):
    """Table 3: whether a frame is sharp or blurred. Input [B, 3, H, W] in [0, 1]; output [B, 2], sharp and blurred.

    Nine convolutions, average pooling, two fully connected layers. Outputs are logits; the published sigmoid is left
    to the loss. Four convolutions have a stride of 2 (the text does not say which: 2, 3, 5 and 7 here, not the input
    layer); all but the first and the last are normalised. The table pools 512 channels to 4096 values, which is a
    grid of 2 x 4 means, and gives both fully connected layers two outputs.

    batch_norm: normalise over the batch, as the table has it, in place of each map, as the text has it. A map that is
    normalised by itself no longer shows how strong its edges are, which is what tells sharp from blurred.
    """

    longest_side: int = 640
    """Frames are looked at with at most this many pixels on their longer side."""
    shortest_side: int = 64
    """Below this, normalised maps would hold too few pixels."""

    def __init__(self, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, scale, last = 3, 1, len(_SELECTOR_LAYERS)
        for number, (width, side) in enumerate(_SELECTOR_LAYERS, start=1):
            stride = 2 if number in _SELECTOR_STRIDED else 1
            scale *= stride
            plain = number in (1, last)
            layers.append(nn.Conv2d(channels, width, side, stride=stride, padding=side // 2, bias=plain))
            if not plain:
                layers.append(nn.BatchNorm2d(width) if batch_norm else InstanceNorm(width, scale))
            layers.append(nn.LeakyReLU(_SELECTOR_SLOPE))
            channels = width
        self.convolutions = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(_SELECTOR_GRID)
        self.layer12 = nn.Linear(channels * _SELECTOR_GRID[0] * _SELECTOR_GRID[1], 2)
        self.layer13 = nn.Linear(2, 2)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The size, pixels, at which `blur_logits` looks at a frame of this size.

        Shrunk to `longest_side` where it is larger. Never enlarged, which would look like blur, unless a side is
        below `shortest_side`.
        """
        shrink = min(1.0, self.longest_side / max(height, width))
        return max(round(height * shrink), self.shortest_side), max(round(width * shrink), self.shortest_side)

    def blur_logits(self, frames: Tensor) -> Tensor:
        """Frames of any size, float [B, 3, H, W] in [0, 1] → logits [B]: above 0 means blurred, sigmoid is the
        probability (of one class against the other, as a softmax of the two outputs gives it)."""
        size = self.input_size(*frames.shape[2:])
        if size != tuple(frames.shape[2:]):
            frames = F.interpolate(frames, size=size, mode="bilinear", antialias=True, align_corners=False)
        sharp, blurred = self(frames).unbind(dim=1)
        return blurred - sharp

    def forward(self, x: Tensor) -> Tensor:
        means = torch.flatten(self.pool(self.convolutions(x)), 1)
        return self.layer13(F.leaky_relu(self.layer12(means), _SELECTOR_SLOPE))


def _zero_bias(layer: nn.Conv2d) -> None:
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
