"""The parts of the spatially and temporally variant RNN: convolutional cells, weight generators, 3-D convolutions.

After Jiang et al. 2019 (IEEE Access, 10.1109/ACCESS.2019.2962505), Eq. 3 to 6 and Table 1. What distinguishes these
cells from other recurrent ones: the state that a cell starts from is not what a former cell left but a map that a
weight generator has drawn from all frames. Knows neither how many cells there are nor what they are fed.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = Literal["keep", "halve", "double"]
MIDDLE_LAYERS: tuple[tuple[Step, int], ...] = (
    ("halve", 128),
    ("keep", 128),
    ("halve", 256),
    ("keep", 256),
    ("keep", 256),
    ("halve", 512),
    ("keep", 512),
    ("keep", 256),
    ("double", 128),
    ("keep", 128),
    ("double", 256),
)
"""Table 1, layers 3 to 13, alike in both generators: what happens to the size before a convolution, and its channels"""
TEMPORAL_LAYERS: tuple[tuple[Step, int], ...] = (("keep", 16), ("keep", 96), ("keep", 96), *MIDDLE_LAYERS)
"""Table 1, temporal weight generator, layers 0 to 13; layer 14 gives 96 maps at the frames' size"""
SPATIAL_LAYERS: tuple[tuple[Step, int], ...] = (("keep", 64), ("keep", 64), *MIDDLE_LAYERS)
"""Table 1, spatial weight generator, layers 1 to 13; layer 14 gives 128 maps at half the frames' size"""


def _start(layer: nn.Conv2d, channels: int) -> None:
    """Gives the kernels of input (W) and state (U), which lie in one layer, the spread that each would have alone.

    Else the one or few frames that a cell sees start out as a whisper beside the 32 maps of its state.
    """
    nn.init.kaiming_normal_(layer.weight[:, :channels], nonlinearity="linear")
    nn.init.kaiming_normal_(layer.weight[:, channels:], nonlinearity="linear")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class ConvGRU(nn.Module):
    """One step of a convolutional GRU (Eq. 3 to 6) with 3 × 3 kernels: x [B, C, H, W], state [B, S, H, W] -> state."""

    def __init__(self, channels: int, state: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels + state, 2 * state, 3, padding=1)  # W_z, U_z and W_r, U_r at once
        self.candidate = nn.Conv2d(channels + state, state, 3, padding=1)
        _start(self.gates, channels)
        _start(self.candidate, channels)
        assert self.gates.bias is not None
        nn.init.ones_(self.gates.bias[:state])  # at first a cell passes on more of what it sees than of its state

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        update, reset = torch.sigmoid(self.gates(torch.cat((x, state), 1))).chunk(2, 1)
        proposed = torch.tanh(self.candidate(torch.cat((x, reset * state), 1)))
        return state + update * (proposed - state)


class ConvLSTM(nn.Module):
    """One step of a convolutional LSTM with 3 × 3 kernels, for the row LSTM-sub of Table 2; same shapes as ConvGRU.

    The map that it starts from stands for both its hidden state and its memory: there is one map a cell.
    """

    def __init__(self, channels: int, state: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels + state, 4 * state, 3, padding=1)
        _start(self.gates, channels)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        gates, proposed = self.gates(torch.cat((x, state), 1)).tensor_split((3 * state.shape[1],), 1)
        keep, write, show = torch.sigmoid(gates).chunk(3, 1)
        return show * torch.tanh(keep * state + write * torch.tanh(proposed))


class WeightGenerator(nn.Module):
    """A deep CNN that draws the cells' states from all frames (Table 1): [B, T, H, W] -> [B, maps, h, w] in (-1, 1).

    full_size: layer 14 doubles the size too, and h, w are H, W; else they are half of it. H and W are multiples of 8.
    width scales the published channels of all layers but the last. Silent in the paper: 3 × 3 kernels and ReLU, a 1 × 1
    kernel in layer 14, which only shares features out among the cells, and doubling bilinear as in its reconstruction
    block. The tanh comes last, which keeps the maps within the range of a GRU's state.
    """

    def __init__(
        self, frames: int, layers: Sequence[tuple[Step, int]], maps: int, full_size: bool, width: float
    ) -> None:
        super().__init__()
        widths = [frames, *(max(round(channels * width), 1) for _, channels in layers)]
        self.steps = [step for step, _ in layers]
        self.full_size = full_size
        layer_list = [nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)]
        last = nn.Conv2d(widths[-1], maps, 1)
        for layer in (*layer_list, last):
            # Fifteen layers without normalisation: a smaller start leaves nothing of the frames in the maps.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(last.weight, std=0.1 / widths[-1] ** 0.5)  # small maps: yet unlearnt, they are noise to a cell
        self.layers = nn.ModuleList(layer_list)
        self.last = last

    def forward(self, frames: Tensor) -> Tensor:
        x = frames
        for step, layer in zip(self.steps, self.layers, strict=True):
            if step == "halve":
                x = F.max_pool2d(x, 2)
            elif step == "double":
                x = _doubled(x)
            x = F.relu(layer(x))
        # Point by point, a convolution gives the same before doubling as after it, at a quarter of the cost.
        x = self.last(x)
        return torch.tanh(_doubled(x) if self.full_size else x)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class TemporalConvolutions(nn.Module):
    """Two 3-D convolutions over the frames, for the row 3D-sub of Table 2: [B, T, H, W] -> [B, features, H, W].

    The first is 3 × 3 × 3 and gives every frame `features` / 3 channels, the second reaches over all T frames and
    joins them. They are written as 2-D convolutions over stacked frames: the same sums, and memory stays channels-last.
    """

    def __init__(self, frames: int, features: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(3, features // 3, 3, padding=1)
        self.joining = nn.Conv2d(frames * (features // 3), features, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        padded = F.pad(frames, (0, 0, 0, 0, 1, 1))
        triples = padded.unfold(1, 3, 1).permute(0, 1, 4, 2, 3).flatten(0, 1)
        each = F.relu(self.around(triples)).unflatten(0, frames.shape[:2]).flatten(1, 2)
        return F.relu(self.joining(each))
