"""Spatially and temporally variant RNN for video deblurring (Jiang et al. 2019): five blurred frames in, five out.

After IEEE Access, 10.1109/ACCESS.2019.2962505: Fig. 2, 3 and 5, Table 1; the rows of its Tables 2 and 3 are options.
The cells and the weight generators are in variant_cells.py. Knows no loss and no training.
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.errors import SettingsError
from deblur_core.models.luminance import luma, with_luma_changed
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.variant_cells import (
    SPATIAL_LAYERS,
    TEMPORAL_LAYERS,
    ConvGRU,
    ConvLSTM,
    TemporalConvolutions,
    WeightGenerator,
)

STATE = 32  # channels of a cell: Table 1's 96 maps serve three cells, its 128 maps four
TEMPORAL_CELLS = 3
SPATIAL_CELLS = 4
MID_GREY = 0.5  # taken from the luma, so that the padding of every layer stands for it and not for black

VARIANTS: dict[str, Mapping[str, int]] = {
    "I1T1": {"frames": 1, "cell_frames": 1},
    "I3T1": {"frames": 3, "cell_frames": 1},
    "I7T1": {"frames": 7, "cell_frames": 1},
    "I5T1": {"frames": 5, "cell_frames": 1},
    "I5T5": {"frames": 5, "cell_frames": 5},
    "I5T3": {"frames": 5, "cell_frames": 3},
}
"""Table 3's rows as options of STVariantRNN; the last is the published network"""

ABLATIONS: dict[str, Mapping[str, object]] = {
    "3D-sub": {"temporal_cells": "3d"},
    "LSTM-sub": {"temporal_cells": "3d", "spatial_cells": "lstm"},
    "Spatial-sub": {"spatial_generator": False},
    "Temporal-sub": {"temporal_generator": False},
    "ours": {},
}
"""Table 2's rows as options of STVariantRNN, but for "RNNs", which is another paper's network"""


class TemporalBlock(nn.Module):
    """Temporally variant block (Fig. 3): luma of T frames [B, T, H, W] -> features [B, `features`, H, W].

    Three ConvGRUs look at `cell_frames` successive frames each, one frame further from cell to cell; their states come
    from the generator, and what they end in is stacked to 96 channels. Without the generator the first state is zero
    and each next one is what the former cell ended in, as in any recurrent network. cells "none": the generator's maps
    go on by themselves (Fig. 7 e), or the frames where there is no generator either.
    """

    def __init__(
        self, frames: int, cell_frames: int, cells: Literal["gru", "3d", "none"], generator: bool, width: float
    ) -> None:
        super().__init__()
        maps = TEMPORAL_CELLS * STATE
        self.features = frames if cells == "none" and not generator else maps
        first = (frames - cell_frames) // 2
        starts = [min(max(first + shift, 0), frames - cell_frames) for shift in (-1, 0, 1)]
        self.reaches = [slice(start, start + cell_frames) for start in starts]
        # 3-D convolutions stand for the whole block, its generator included.
        self.convolutions = TemporalConvolutions(frames, maps) if cells == "3d" else None
        generates = generator and cells != "3d"
        self.generator = WeightGenerator(frames, TEMPORAL_LAYERS, maps, True, width) if generates else None
        self.cells = (
            nn.ModuleList(ConvGRU(cell_frames, STATE) for _ in range(TEMPORAL_CELLS)) if cells == "gru" else None
        )

    def forward(self, frames: Tensor) -> Tensor:
        if self.convolutions is not None:
            return self.convolutions(frames)
        maps = None if self.generator is None else self.generator(frames)
        if self.cells is None:
            return frames if maps is None else maps
        given = None if maps is None else maps.chunk(TEMPORAL_CELLS, 1)
        state = frames.new_zeros((frames.shape[0], STATE, *frames.shape[2:])) if given is None else given[0]
        ends: list[Tensor] = []
        for number, cell in enumerate(self.cells):
            state = cell(frames[:, self.reaches[number]], state if given is None else given[number])
            ends.append(state)
        return torch.cat(ends, 1)


class SpatialBlock(nn.Module):
    """Spatially variant block (Fig. 5): features and the luma of the frames -> what the two skips and the rest carry.

    Returns [B, 32, H, W] after the first convolution, [B, 32, H/2, W/2] after the second, and [B, 32, H/2, W/2] after
    four cells, each followed by a 1 × 1 convolution. Without the generator states go from cell to cell, as in
    TemporalBlock; without cells the generator's maps are added where a cell stood (Fig. 7 d).
    """

    def __init__(
        self, features: int, frames: int, cells: Literal["gru", "lstm", "none"], generator: bool, width: float
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(features, STATE, 3, padding=1)
        self.halve = nn.Conv2d(STATE, STATE, 4, stride=2, padding=1)
        maps = SPATIAL_CELLS * STATE
        self.generator = WeightGenerator(frames, SPATIAL_LAYERS, maps, False, width) if generator else None
        kind = ConvLSTM if cells == "lstm" else ConvGRU
        self.cells = None if cells == "none" else nn.ModuleList(kind(STATE, STATE) for _ in range(SPATIAL_CELLS))
        mixers = [nn.Conv2d(STATE, STATE, 1) for _ in range(SPATIAL_CELLS)]
        self.mixers = nn.ModuleList(mixers)
        for layer in (self.enter, self.halve):
            nn.init.kaiming_normal_(layer.weight, a=0.1)
        for layer in mixers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        whole = F.leaky_relu(self.enter(features), 0.1)
        half = F.leaky_relu(self.halve(whole), 0.1)
        maps = None if self.generator is None else self.generator(frames)
        given = None if maps is None else maps.chunk(SPATIAL_CELLS, 1)
        state = torch.zeros_like(half) if given is None else given[0]
        y = half
        for number, mix in enumerate(self.mixers):
            if self.cells is not None:
                y = state = self.cells[number](y, state if given is None else given[number])
            elif given is not None:
                y = y + given[number]
            y = mix(y)
        return whole, half, y


class STVariantRNN(RestorationNetwork):
    """Input and output [B, 3 × frames, H, W], RGB, oldest first; the middle frame is the target; H, W multiples of 8.

    It works on luma, as published, and carries the chrominance of each blurred frame over.

    frames: window of blurred frames, as many come out; odd. cell_frames: how many of them a ConvGRU of the temporal
    block sees (Table 3: I`frames`T`cell_frames`). temporal_cells, spatial_cells, temporal_generator,
    spatial_generator: parts replaced or left out (Table 2, Fig. 7). width: channels of the generators against Table 1;
    1.0 is the published width, whose 15.0 million parameters take 28.6 MiB in half precision, and the default is the
    widest in eighths that stays below 25 MiB. Raises SettingsError for options out of range.

    Where the paper is silent: kernels in the cells are 3 × 3; what the temporal cells end in is stacked; the two skips
    are added, since the last convolution takes 32 channels; nothing but the doubling follows the 9 × 9 convolution. Its
    "slope equals to −0.1" is read as 0.1 for negative values. Ours: mid-grey is taken from the luma; the last
    convolution, zero at first, gives a change of the blurred luma and not the luma itself; and weights start from
    spreads that keep a signal's strength, not from the published N(0, 0.01), from which so deep a network without
    normalisation learns nothing in a short training.
    """

    frames = 5
    outputs = 5
    size_multiple = 8
    tile_overlap = 96

    def __init__(
        self,
        frames: int = 5,
        cell_frames: int = 3,
        width: float = 0.875,
        temporal_cells: Literal["gru", "3d", "none"] = "gru",
        spatial_cells: Literal["gru", "lstm", "none"] = "gru",
        temporal_generator: bool = True,
        spatial_generator: bool = True,
    ) -> None:
        super().__init__()
        _check(frames, cell_frames, width, temporal_cells, spatial_cells)
        self.frames = self.outputs = frames
        self.temporal = TemporalBlock(frames, cell_frames, temporal_cells, temporal_generator, width)
        self.spatial = SpatialBlock(self.temporal.features, frames, spatial_cells, spatial_generator, width)
        self.reconstruct = nn.Conv2d(STATE, STATE, 9, padding=4)
        self.outro = nn.Conv2d(STATE, frames, 3, padding=1)
        nn.init.kaiming_normal_(self.reconstruct.weight, nonlinearity="linear")
        nn.init.zeros_(self.outro.weight)
        nn.init.zeros_(self.outro.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        brightness = luma(x) - MID_GREY
        whole, half, y = self.spatial(self.temporal(brightness), brightness)
        y = F.interpolate(self.reconstruct(y + half), scale_factor=2, mode="bilinear", align_corners=False)
        return with_luma_changed(x, self.outro(y + whole))


def _check(frames: int, cell_frames: int, width: float, temporal_cells: str, spatial_cells: str) -> None:
    if frames < 1 or frames % 2 == 0:
        raise SettingsError(f"STVariantRNN: frames is {frames}, but a window is odd: use 1, 3, 5 or 7")
    if not 1 <= cell_frames <= frames:
        raise SettingsError(f"STVariantRNN: cell_frames is {cell_frames}, but must be 1 to {frames}, the window")
    if width <= 0:
        raise SettingsError(f"STVariantRNN: width is {width}, but must be above 0 (1.0 is the published one)")
    if temporal_cells not in ("gru", "3d", "none"):
        raise SettingsError(f"STVariantRNN: temporal_cells {temporal_cells!r} is unknown: use 'gru', '3d' or 'none'")
    if spatial_cells not in ("gru", "lstm", "none"):
        raise SettingsError(f"STVariantRNN: spatial_cells {spatial_cells!r} is unknown: use 'gru', 'lstm' or 'none'")
