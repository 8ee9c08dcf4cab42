"""Trains the first net of the default selector: which frames are blurred. Knows no video pipeline and no cluster.

python -m deblur_core.training.selector --data CORPUS --out FIRST.safetensors --seed 1

deblur_core/training/selector_focus.py adds the second net, which tells motion from focus.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from deblur_core.blur_features import FEATURES, tile_features, tile_grid
from deblur_core.models.blur_selector import SHARPNESS, TILE_INPUTS, in_context
from deblur_core.training.selector_data import RecordedStretch, kept, motion_stretches, training_options

_SHARE_LOCALISED = 0.45
_FINEST, _LEAST_LOSS = FEATURES.index("laplacian_0"), 0.4


@dataclass(frozen=True)
class LabelledStretch:
    """features: float32 [T, tiles, F] of a recorded clip; labels: bool [T]; grid: rows and columns of tiles."""

    name: str
    grid: tuple[int, int]
    features: np.ndarray
    labels: np.ndarray


def measured(stretch: RecordedStretch) -> LabelledStretch:
    """The features of a recorded stretch."""
    features = np.stack([tile_features(luma) for luma in stretch.lumas])
    return LabelledStretch(stretch.name, tile_grid(*stretch.lumas.shape[1:]), features, stretch.labels)


class _Scale(nn.Module):
    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.deviation


class SelectorNet(nn.Module):
    """The net of `BlurSelector` in torch: [T, tiles, TILE_INPUTS] → logits [T]."""

    def __init__(self, mean: Tensor, deviation: Tensor, hidden: int = 64, width: int = 32) -> None:
        super().__init__()
        self.scale = _Scale(mean, deviation)
        self.tile1 = nn.Linear(2 * TILE_INPUTS, hidden)
        self.tile2 = nn.Linear(hidden, width)
        self.frame1 = nn.Linear(2 * width, width)
        self.frame2 = nn.Linear(width, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        scaled = self.scale(inputs)
        of_tile, of_frame = self.tile1.weight.split(TILE_INPUTS, dim=1)
        hidden = F.linear(scaled, of_tile) + F.linear(scaled.mean(dim=1, keepdim=True), of_frame, self.tile1.bias)
        tiles = self.tile2(F.dropout(F.relu(hidden), 0.1, self.training))
        softest = (torch.logsumexp(SHARPNESS * tiles, dim=1) - float(np.log(tiles.shape[1]))) / SHARPNESS
        pooled = F.dropout(torch.cat([softest, tiles.mean(dim=1)], dim=1), 0.1, self.training)
        return self.frame2(F.relu(self.frame1(pooled)))[:, 0]


def _window(stretch: LabelledStretch, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A whole stretch, a short part, a single frame, or only its sharp or blurred run: context is not always given."""
    features = stretch.features
    if rng.random() < _SHARE_LOCALISED:
        features = localised(stretch, ~stretch.labels, rng)
    count, kind = len(stretch.labels), rng.random()
    start, stop = 0, count
    if 0.55 < kind < 0.8:
        length = int(rng.integers(2, 16))
        start = int(rng.integers(0, max(count - length, 0) + 1))
        stop = min(start + length, count)
    elif kind >= 0.8:
        start = int(rng.integers(0, count))
        stop = start + 1
        while kind < 0.92 and stop < count and stretch.labels[stop] == stretch.labels[start]:
            stop += 1
    return in_context(features[start:stop]), stretch.labels[start:stop]


def localised(stretch: LabelledStretch, is_sharp: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Confines blurred runs to a rectangle of tiles: the tiles around it come from the nearest sharp frame.

    is_sharp: bool [T]. Only where the rectangle's tiles lost something; other runs stay as they are.
    """
    rows, columns = stretch.grid
    features = stretch.features.copy()
    sharp = np.flatnonzero(is_sharp)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stretch.labels, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        nearest = [int(sharp[np.abs(sharp - number).argmin()]) for number in range(start, stop)]
        lost = stretch.features[nearest][..., _FINEST] - stretch.features[start:stop][..., _FINEST]
        for _ in range(4):
            outside = ~_rectangle(rows, columns, rng)
            if np.quantile(lost.mean(axis=0)[~outside], 0.6) > _LEAST_LOSS:
                features[start:stop, outside] = stretch.features[nearest][:, outside]
                break
    return features


def _rectangle(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """bool [rows × columns]: 5 to 30 % of the tiles, in one rectangle, two by two at least."""
    area = rng.uniform(0.05, 0.3) * rows * columns
    height = int(np.clip(round(np.sqrt(area) * np.exp(rng.normal(0.0, 0.35))), min(2, rows), rows))
    width = int(np.clip(round(area / height), min(2, columns), columns))
    inside = np.zeros((rows, columns), bool)
    top, left = rng.integers(0, rows - height + 1), rng.integers(0, columns - width + 1)
    inside[top : top + height, left : left + width] = True
    return inside.ravel()


def fit(training: list[LabelledStretch], epochs: int, seed: int) -> SelectorNet:
    """Fits the net: binary cross-entropy, AdamW, cosine schedule, four stretches a step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    everything = np.concatenate([in_context(s.features)[::4].reshape(-1, TILE_INPUTS) for s in training])
    mean, deviation = everything.mean(0), everything.std(0) + 1e-3
    mean[-1], deviation[-1] = 0.0, 1.0
    net = SelectorNet(torch.from_numpy(mean), torch.from_numpy(deviation))
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = epochs * len(training) // 4
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        losses = []
        for index in rng.integers(len(training), size=4):
            inputs, labels = _window(training[int(index)], rng)
            # A little smoothing: a few frames of the sources are blurred by nature and labelled sharp.
            target = torch.from_numpy(labels.astype(np.float32)) * 0.97 + 0.015
            loss = F.binary_cross_entropy_with_logits(net(torch.from_numpy(inputs)), target, reduction="sum")
            losses.append(loss / np.sqrt(len(labels)))
        optimiser.zero_grad(set_to_none=True)
        torch.stack(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.inference_mode()
def calibrate(net: SelectorNet, unseen: list[LabelledStretch]) -> tuple[float, float]:
    """Shift and scale of the logits on sources that `net` has not seen: 0.5 becomes the best threshold.

    The shift makes the sum of both error rates least, a false alarm counting one and a half; rates, because the share
    of blurred frames is arbitrary here. The scale is Platt's, fitted around the shift.
    """
    logits = np.concatenate([net(torch.from_numpy(in_context(s.features))).numpy() for s in unseen])
    labels = np.concatenate([s.labels for s in unseen])
    candidates = np.quantile(logits, np.linspace(0.01, 0.99, 981))
    costs = np.array([1.5 * (logits[~labels] >= c).mean() + (logits[labels] < c).mean() for c in candidates])
    shift = float(np.median(candidates[costs <= costs.min() + 0.002]))
    scales = np.linspace(0.2, 2.0, 37)
    signs = np.where(labels, 1.0, -1.0)
    losses = [float(np.logaddexp(0.0, -signs * scale * (logits - shift)).mean()) for scale in scales]
    return shift, float(scales[int(np.argmin(losses))])


LEAN = 0.5
"""Added to the calibrated logit: fewer missed for a few more false alarms, which cost time but hardly quality, as a
restorer leaves sharp frames nearly alone and a verdict stands behind it (docs/measurements.md). More would find more,
but a video that is sharp throughout would no longer come out as a byte copy."""


@torch.inference_mode()
def _apply(net: SelectorNet, shift: float, scale: float) -> None:
    net.frame2.weight.mul_(scale)
    net.frame2.bias.sub_(shift).mul_(scale).add_(LEAN)


def fit_calibrated(made: list[LabelledStretch], out: Path, seed: int, epochs: int, rounds: int) -> dict[str, float]:
    """Calibrates on a third of the sources with a net that saw the others, then fits all and writes `out`."""
    names = sorted({stretch.name for stretch in made})
    apart = set(names[seed % 3 :: 3])
    first = fit([s for s in made if s.name not in apart], epochs, seed)
    shift, scale = calibrate(first, [s for s in made if s.name in apart])
    net = fit(made, epochs, seed)
    _apply(net, shift, scale)
    metadata = {"part": "first of two nets", "seed": str(seed), "rounds": str(rounds), "epochs": str(epochs)}
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, out, metadata)
    return {"stretches": len(made), "frames": sum(len(s.labels) for s in made), "shift": shift, "scale": scale}


def main() -> None:
    """Makes the stretches, fits, writes the weights; one JSON object on stdout."""
    parser = training_options(__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=40)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    began = time.monotonic()
    recorded = kept(motion_stretches, asked.data, range(asked.rounds), asked.seed, asked.recorded)
    made = [measured(each) for each in recorded]
    report = fit_calibrated(made, asked.out, asked.seed, asked.epochs, asked.rounds)
    sys.stdout.write(json.dumps(report | {"minutes": (time.monotonic() - began) / 60.0}) + "\n")


if __name__ == "__main__":
    main()
