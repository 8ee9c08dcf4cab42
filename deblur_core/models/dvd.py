"""DBN, the network of 'Deep Video Deblurring for Hand-held Cameras' (Su et al. 2017, arXiv 1611.08387).

Five frames stacked, unaligned, through an encoder and a decoder with skips. A baseline, and the second network that
Reblur2Deblur adapts. Knows no loss and no video.

Layers, at the published width of 64 (kernel, channels, stride; s: kept for a skip, + s: a skip is added):
    F0   5 x 5  64 1 s    D1 3 x 3  64 2    F1_1 to F1_2  3 x 3 128 1 s
                          D2 3 x 3 256 2    F2_1 to F2_3  3 x 3 256 1 s
                          D3 3 x 3 512 2    F3_1 to F3_3  3 x 3 512 1
    U1   4 x 4 256 1/2 + F2_3               F4_1 to F4_3  3 x 3 256 1
    U2   4 x 4 128 1/2 + F1_2               F5_1 3 x 3 128 1,  F5_2 3 x 3 64 1
    U3   4 x 4  64 1/2 + F0                 F6_1 3 x 3  15 1,  F6_2 3 x 3  3 1 + the middle frame
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.network import RestorationNetwork


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) of [B, C, H, W]: over the batch in training, constants after it.

    Its state is floats alone, no counter, so that a moving average of the weights holds the statistics that fit them.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_variance
        return F.batch_norm(x, *statistics, self.weight, self.bias, self.training, self.momentum, self.eps)


class NormalisedLayer(nn.Module):
    """A convolution, or a transposed one that doubles the size, and a normalisation; then a ReLU, after the skip if
    there is one."""

    def __init__(self, channels: int, width: int, kernel: int = 3, stride: int = 1, up: bool = False) -> None:
        super().__init__()
        self.convolution: nn.Module
        # No bias: the normalisation would subtract it, and has its own.
        if up:
            self.convolution = nn.ConvTranspose2d(channels, width, kernel, stride=2, padding=1, bias=False)
        else:
            self.convolution = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = BatchNorm(width)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        y = self.norm(self.convolution(x))
        return F.relu(y if skip is None else y + skip)


class DeepVideoDeblurring(RestorationNetwork):
    """DBN: five frames in, the middle one restored. Input [B, 15, H, W] in [0, 1], output [B, 3, H, W]; H, W multiples
    of 8.

    Batch normalisation is kept: once trained it multiplies by and adds constants, so a frame alone, a tile and a whole
    frame give the same result, where statistics of the frame itself would differ. Training on a frame or two at a
    time, as adapting to a clip does, should leave the statistics as they are (`eval()`).

    Unlike the published one, the middle frame is added without a sigmoid after it: that one kept values in [0, 1],
    which whoever writes the frame does anyway, and behind it no sum is near the frame. The last layer starts at zero,
    so that the untrained network returns the middle frame.

    width: channels at full resolution. 64 as published is 15.3 million parameters; 56 keeps a half-precision weights
    file below 25 MiB.
    """

    frames = 5
    size_multiple = 8
    tile_overlap = 128  # a pixel depends on 81 around it: where two tiles weigh alike, both have seen most of that

    def __init__(self, width: int = 56) -> None:
        super().__init__()
        full, half, quarter, eighth = width, 2 * width, 4 * width, 8 * width
        self.f0 = NormalisedLayer(self.input_channels, full, kernel=5)
        self.d1 = NormalisedLayer(full, full, stride=2)
        self.f1 = nn.Sequential(NormalisedLayer(full, half), NormalisedLayer(half, half))
        self.d2 = NormalisedLayer(half, quarter, stride=2)
        self.f2 = nn.Sequential(*[NormalisedLayer(quarter, quarter) for _ in range(3)])
        self.d3 = NormalisedLayer(quarter, eighth, stride=2)
        self.f3 = nn.Sequential(*[NormalisedLayer(eighth, eighth) for _ in range(3)])
        self.u1 = NormalisedLayer(eighth, quarter, kernel=4, up=True)
        self.f4 = nn.Sequential(*[NormalisedLayer(quarter, quarter) for _ in range(3)])
        self.u2 = NormalisedLayer(quarter, half, kernel=4, up=True)
        self.f5 = nn.Sequential(NormalisedLayer(half, half), NormalisedLayer(half, full))
        self.u3 = NormalisedLayer(full, full, kernel=4, up=True)
        self.f6_1 = NormalisedLayer(full, self.input_channels)
        self.f6_2 = nn.Conv2d(self.input_channels, 3, 3, padding=1)
        nn.init.zeros_(self.f6_2.weight)
        assert self.f6_2.bias is not None
        nn.init.zeros_(self.f6_2.bias)

    def forward(self, x: Tensor) -> Tensor:
        at_full = self.f0(x)
        at_half = self.f1(self.d1(at_full))
        at_quarter = self.f2(self.d2(at_half))
        y = self.f3(self.d3(at_quarter))
        y = self.f4(self.u1(y, at_quarter))
        y = self.f5(self.u2(y, at_half))
        y = self.f6_1(self.u3(y, at_full))
        middle = 3 * (self.frames // 2)
        return x[:, middle : middle + 3] + self.f6_2(y)
