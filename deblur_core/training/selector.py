"""Trains the blur selector on clips that are blurred and compressed for it. Knows no video pipeline and no cluster.

python -m deblur_core.training.selector --data CORPUS --out deblur_core/weights/selector.safetensors --seed 1
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from deblur_core.blur_features import FEATURES, tile_features, tile_grid
from deblur_core.errors import UsageError
from deblur_core.models.blur_selector import ARCHITECTURE, SHARPNESS, TILE_INPUTS, in_context
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip
from deblur_core.training.clips import HELD_OUT, PHOTO_SUFFIXES, TOO_SOFT, VIDEO_SUFFIXES, load_video, shrink

UNCERTAIN = ("shake.mjpeg", "dashcam02", "bee.mp4")
"""Clips with blur of their own in some frames: their labels would be wrong."""

SOFT_CHECKS = ("solidWhiteRight", "flower.mp4", "test_stereo")
"""Soft clips without motion blur that stay unseen, to count false alarms on."""

_SIDES = (240, 320, 400, 480, 560, 720)
_SHARE_SOFTENED, _SHARE_LOCALISED = 0.3, 0.45
_FINEST, _LEAST_LOSS = FEATURES.index("laplacian_0"), 0.4


@dataclass(frozen=True)
class LabelledStretch:
    """features: float32 [T, tiles, F] of a recorded clip; labels: bool [T]; grid: rows and columns of tiles."""

    name: str
    grid: tuple[int, int]
    features: np.ndarray
    labels: np.ndarray


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


def stretches(data: Path, rounds: Sequence[int], seed: int) -> Iterator[LabelledStretch]:
    """Every training clip and every fourth photograph once a round, at a new size, blurred and compressed anew.

    Soft clips come in even rounds only. Each stretch depends on the seed, the round and the file alone.
    """
    videos = [path for path in sorted(data.glob("video/*/*")) if path.suffix in VIDEO_SUFFIXES]
    videos = [path for path in videos if not any(name in path.name for name in (*HELD_OUT, *UNCERTAIN, *SOFT_CHECKS))]
    photos = [path for path in sorted(data.glob("images/*/*")) if path.suffix.lower() in PHOTO_SUFFIXES]
    if not videos:
        raise UsageError(f"no clip to train with under {data}: expected video/*/* there")
    for number in rounds:
        for place, path in enumerate(videos):
            rng = np.random.default_rng([seed, number, place])
            soft = any(name in path.name for name in TOO_SOFT)
            if soft and number % 2:
                continue
            yield _stretch(path.stem, _cut_video(path, rng), rng, blur=not soft and rng.random() > 0.15)
        for place, path in enumerate(photos[number % 4 :: 4]):
            rng = np.random.default_rng([seed, number, len(videos) + place])
            yield _stretch(path.stem, _pan(path, rng), rng, blur=True)


def _cut_video(path: Path, rng: np.random.Generator) -> list[np.ndarray]:
    side, count = int(rng.choice(_SIDES)), int(rng.integers(16, 56))
    clip = load_video(path, count, side, start=int(rng.integers(0, 160)))
    if len(clip.frames) < 12:
        clip = load_video(path, count, side)
    return clip.frames


def _pan(path: Path, rng: np.random.Generator) -> list[np.ndarray]:
    """A camera that drifts over a photograph in whole pixels: as sharp in every frame as the photograph."""
    whole = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if whole is None:
        raise UsageError(f"photograph {path} cannot be read: repair or remove it")
    photo = shrink(np.ascontiguousarray(whole[..., ::-1]), int(rng.integers(420, 800)))
    height, width = (int(side * 0.7) // 2 * 2 for side in photo.shape[:2])
    room = np.array([photo.shape[0] - height, photo.shape[1] - width])
    place, speed, out = rng.uniform(0.0, 1.0, 2) * room, rng.normal(0.0, 3.0, 2), []
    for _ in range(int(rng.integers(12, 32))):
        speed = np.where((place + speed < 0) | (place + speed > room), -speed, speed)
        place = np.clip(place + speed, 0, room)
        y, x = place.astype(int)
        out.append(np.ascontiguousarray(photo[y : y + height, x : x + width]))
    return out


def _stretch(name: str, frames: list[np.ndarray], rng: np.random.Generator, blur: bool) -> LabelledStretch:
    settings = PartlyBlurredSettings(run_frames=(2, 12), kind_weights=(0.4, 0.2, 0.2, 0.8), share_with_object=0.6)
    if not blur:
        settings = PartlyBlurredSettings(blurred_share=(0.0, 0.0))
    if rng.random() < _SHARE_SOFTENED:
        sigma = float(rng.uniform(0.6, 1.6))
        frames = _soften(frames, sigma, rng)
        settings = replace(settings, blur_pixels=(max(2.5, 3.5 * sigma), 18.0))
    made = blur_clip(frames, rng, settings)
    limited = rng.random() < 0.5
    features = []
    for frame in made.frames:
        luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        # Decoded video mostly comes in limited range; RGB gives full range. The net must not care.
        features.append(tile_features(np.rint(16 + luma * (219 / 255)).astype(np.uint8) if limited else luma))
    return LabelledStretch(name, tile_grid(*frames[0].shape[:2]), np.stack(features), made.labels)


def _soften(frames: list[np.ndarray], sigma: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Soft in every frame is not motion-blurred: a poor lens or enlarged picture, or all but what is in focus."""
    soft = [cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames]
    if rng.random() < 0.4:
        return soft
    height, width = frames[0].shape[:2]
    field = cv2.resize(rng.standard_normal((3, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    in_focus = np.clip((field - np.quantile(field, rng.uniform(0.2, 0.9))) * 2.0, 0.0, 1.0)[..., None]
    far = sigma * float(rng.uniform(1.5, 5.0))
    return [
        np.rint(frame * in_focus + cv2.GaussianBlur(frame, (0, 0), far) * (1.0 - in_focus)).astype(np.uint8)
        for frame in frames
    ]


def _window(stretch: LabelledStretch, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A whole stretch, a short part, a single frame, or only its sharp or blurred run: context is not always given."""
    features = _localised(stretch, rng) if rng.random() < _SHARE_LOCALISED else stretch.features
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


def _localised(stretch: LabelledStretch, rng: np.random.Generator) -> np.ndarray:
    """Confines blurred runs to a rectangle of tiles: the tiles around it come from the nearest sharp frame.

    Only where the rectangle's tiles lost something; a run that cannot be confined so stays as it is.
    """
    rows, columns = stretch.grid
    features = stretch.features.copy()
    sharp = np.flatnonzero(~stretch.labels)
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


LEAN = 0.25
"""Added to the calibrated logit: fewer missed for a few more false alarms, which cost time but hardly quality, as a
restorer leaves sharp frames nearly alone and a verdict stands behind it (docs/measurements.md)."""


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
    metadata = {"architecture": ARCHITECTURE, "seed": str(seed), "rounds": str(rounds), "epochs": str(epochs)}
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, out, metadata)
    return {"stretches": len(made), "frames": sum(len(s.labels) for s in made), "shift": shift, "scale": scale}


def main() -> None:
    """Makes the stretches, fits, writes the weights; one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=40)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    began = time.monotonic()
    made = list(stretches(asked.data, range(asked.rounds), asked.seed))
    report = fit_calibrated(made, asked.out, asked.seed, asked.epochs, asked.rounds)
    sys.stdout.write(json.dumps(report | {"minutes": (time.monotonic() - began) / 60.0}) + "\n")


if __name__ == "__main__":
    main()
