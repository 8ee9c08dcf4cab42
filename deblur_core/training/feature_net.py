"""Teaches FeatureNet, the network that losses look through, to tell blur: none, or which way and how far.

Its features then answer to what a restorer must undo. A file of its own, because nothing is restored here:
`python -m deblur_core.training.feature_net --data CORPUS --out feature-net.safetensors`.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from deblur_core.losses.feature_net import FeatureNet
from deblur_core.models.precision import inference_dtype
from deblur_core.synthesis import exposure, motion
from deblur_core.synthesis.compression import jpeg
from deblur_core.training.clips import Clip
from deblur_core.training.library import build_library, open_library
from deblur_core.training.schedule import cosine_rate

DIRECTIONS = 4
LENGTHS_PIXELS = ((3.0, 5.0), (6.0, 9.0), (10.0, 14.0))
CLASSES = 1 + DIRECTIONS * len(LENGTHS_PIXELS)
"""0 is sharp; 1 + 3 d + l is blurred along d × 45° by a length of `LENGTHS_PIXELS[l]`."""
PATCH = 64
_MARGIN = 16
_PLACES = 4
_BATCH = 24
_PEAK_RATE = 2e-3


@dataclass(frozen=True)
class Taught:
    """accuracy: share of held-out patches whose class was found; direction: of the blurred ones, whose direction was;
    blurred: of all, whether sharp or blurred was."""

    accuracy: float
    direction: float
    blurred: float


class BlurClassifier(nn.Module):
    """FeatureNet, the logarithm of its mean features, and two layers: RGB [B, 3, H, W] in [0, 1] → [B, CLASSES].

    Blur shows in the ratio of features, not in their size, which is the scene's; hence the logarithm.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = FeatureNet()
        self.judge = nn.Sequential(nn.Linear(FeatureNet.channels, 64), nn.ReLU(), nn.Linear(64, CLASSES))
        for layer in self.features.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # six layers without normalisation

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.judge(torch.log(self.features(frames).float().mean((2, 3)) + 1e-2))
        return logits


def draw_patch(clips: Sequence[Clip], rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """uint8 RGB [PATCH, PATCH, 3] of the most textured of a few places, blurred or not, and its class."""
    size = PATCH + 2 * _MARGIN
    clip = clips[int(rng.integers(len(clips)))]
    frame = clip.frames[int(rng.integers(len(clip.frames)))]
    corners = [
        (int(rng.integers(frame.shape[0] - size)), int(rng.integers(frame.shape[1] - size))) for _ in range(_PLACES)
    ]
    cuts = [np.asarray(frame[y : y + size, x : x + size]) for y, x in corners]
    cut = np.rot90(max(cuts, key=_texture), int(rng.integers(4)))
    label = int(rng.integers(CLASSES))
    light = exposure.to_linear(np.ascontiguousarray(cut).astype(np.float32) / 255.0)
    if label:
        direction, length = divmod(label - 1, len(LENGTHS_PIXELS))
        light = motion.convolve(light, _line(direction, float(rng.uniform(*LENGTHS_PIXELS[length])), rng))
    shown = exposure.to_display(light) + rng.normal(0.0, rng.uniform(0.002, 0.012), light.shape).astype(np.float32)
    recorded = exposure.quantise(np.clip(shown, 0.0, 1.0))[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return jpeg(np.ascontiguousarray(recorded), int(rng.integers(75, 97))), label


def teach(
    learn: Sequence[Clip], judge: Sequence[Clip], steps: int, seed: int, patches: int = 520
) -> tuple[FeatureNet, Taught]:
    """Trains with Adam for `steps` batches of 24 patches; the result is judged on `patches` of clips never learnt from.

    learn, judge: sharp clips or photographs, sides of 97 pixels or more.
    """
    torch.manual_seed(seed)
    network = BlurClassifier()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters())
    rng = np.random.default_rng(seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, steps, _PEAK_RATE)
        frames, labels = _batch(learn, _BATCH, rng)
        loss = F.cross_entropy(_run(network, frames), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return network.features, _judge(network.eval(), judge, patches, np.random.default_rng([seed, 1]))


def _texture(cut: np.ndarray) -> float:
    return float(cv2.Laplacian(np.ascontiguousarray(cut[..., 1]), cv2.CV_32F).var())


def _line(direction: int, length: float, rng: np.random.Generator) -> np.ndarray:
    """Kernel of an even motion along `direction` × 45°, a few degrees off."""
    angle = np.deg2rad(45.0 * direction + rng.uniform(-10.0, 10.0))
    along = np.linspace(-0.5, 0.5, 64)[:, None] * length
    return motion.path_kernel((along * np.array([np.cos(angle), np.sin(angle)])).astype(np.float32))


def _batch(clips: Sequence[Clip], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    drawn = [draw_patch(clips, rng) for _ in range(count)]
    frames = torch.from_numpy(np.stack([patch for patch, _ in drawn])).permute(0, 3, 1, 2).float() / 255.0
    return frames, torch.tensor([label for _, label in drawn])


def _run(network: BlurClassifier, frames: Tensor) -> Tensor:
    half = inference_dtype(torch.device("cpu")) == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        logits: Tensor = network(frames.contiguous(memory_format=torch.channels_last))
    return logits.float()


@torch.inference_mode()
def _judge(network: BlurClassifier, clips: Sequence[Clip], patches: int, rng: np.random.Generator) -> Taught:
    found, true = [], []
    for _ in range(-(-patches // _BATCH)):
        frames, labels = _batch(clips, _BATCH, rng)
        found.append(_run(network, frames).argmax(1))
        true.append(labels)
    guess, label = torch.cat(found), torch.cat(true)
    both = (guess > 0) & (label > 0)
    same_way = ((guess - 1) // len(LENGTHS_PIXELS) == (label - 1) // len(LENGTHS_PIXELS)) & both
    return Taught(
        float((guess == label).float().mean()),
        float(same_way[label > 0].float().mean()),
        float(((guess > 0) == (label > 0)).float().mean()),
    )


def main() -> None:
    """Trains, judges, writes the weights (half precision); one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("training/feature-net"))
    parser.add_argument("--steps", type=int, default=1100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    library = asked.work / "library"
    build_library(asked.data, library)
    began = time.process_time()
    features, taught = teach(open_library(library, False), open_library(library, True), asked.steps, asked.seed)
    save_file({name: value.half().contiguous() for name, value in features.state_dict().items()}, asked.out)
    minutes = (time.process_time() - began) / 60.0
    report = {**vars(taught), "steps": asked.steps, "seed": asked.seed, "minutes": round(minutes, 1)}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
