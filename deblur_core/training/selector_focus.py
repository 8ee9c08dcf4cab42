"""Trains what the default selector tells motion from focus with, and adds it to the weights of its first net.

python -m deblur_core.training.selector_focus --data CORPUS --weights FIRST.safetensors --out SELECTOR.safetensors

FIRST is what deblur_core/training/selector.py wrote, or an earlier SELECTOR, whose second net is then replaced.
"""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from deblur_core.blur_features import FEATURES, tile_features, tile_grid
from deblur_core.models.blur_selector import ARCHITECTURE, LEAST_LOST, focus_context
from deblur_core.models.focus_cues import CUES
from deblur_core.synthesis.defocus import DEFOCUS
from deblur_core.training.selector import LabelledStretch, localised
from deblur_core.training.selector_data import RecordedStretch, focus_stretches, kept, mixed_stretches, training_options

MOTION_KEPT = 0.985
"""Share of motion-blurred frames of unseen sources that must stay flagged: a frame that is missed costs most."""

STEPS, BATCH, SMOOTHING = 1500, 256, 0.02
_FINEST, _PULLED_LOSS = FEATURES.index("laplacian_0"), 1.0
_PARTS = 3


@dataclass(frozen=True)
class Examples:
    """cues: float32 [N, CUES]; motion: bool [N], blurred by motion, else out of focus; source: N names."""

    cues: np.ndarray
    motion: np.ndarray
    source: np.ndarray


class FocusNet(nn.Module):
    """The second net of `BlurSelector` in torch: [N, CUES] → logits [N], above 0: motion."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.mean, self.deviation = nn.Buffer(mean), nn.Buffer(deviation)
        self.focus1, self.focus2, self.focus3 = nn.Linear(CUES, 48), nn.Linear(48, 24), nn.Linear(24, 1)

    def forward(self, cues: Tensor) -> Tensor:
        hidden = F.dropout(F.relu(self.focus1((cues - self.mean) / self.deviation)), 0.2, self.training)
        return self.focus3(F.relu(self.focus2(hidden)))[:, 0]

    def tensors(self) -> dict[str, Tensor]:
        """As they stand in the weights file."""
        state = {name: value for name, value in self.state_dict().items() if "." in name}
        return state | {"focus.mean": self.mean, "focus.deviation": self.deviation}


def examples(stretch: RecordedStretch, rng: np.random.Generator) -> list[Examples]:
    """Frames that lost something to motion or to focus: in the whole stretch, in parts of it, and with motion confined
    to a region, as an object's is."""
    features = np.stack([tile_features(luma) for luma in stretch.lumas])
    soft = np.array(stretch.kinds) == DEFOCUS
    if not stretch.labels.any() and not soft.any():
        # A pulled focus is nowhere noted: what lost much in a stretch without motion blur lost it to focus.
        finest = features[..., _FINEST].mean(axis=1)
        soft = finest < finest.max() - _PULLED_LOSS
    labelled = LabelledStretch(stretch.name, tile_grid(*stretch.lumas.shape[1:]), features, stretch.labels)
    found = [_told_apart(stretch.name, features, stretch.labels, soft)]
    for _ in range(_PARTS):
        length = int(rng.integers(4, len(features) + 1))
        start = int(rng.integers(0, len(features) - length + 1))
        part = slice(start, start + length)
        found.append(_told_apart(stretch.name, features[part], stretch.labels[part], soft[part]))
    if stretch.labels.any() and (~stretch.labels & ~soft).any():
        confined = localised(labelled, ~stretch.labels & ~soft, rng)
        found.append(_told_apart(stretch.name, confined, stretch.labels, np.zeros_like(soft)))
    return found


def _told_apart(name: str, features: np.ndarray, motion: np.ndarray, soft: np.ndarray) -> Examples:
    cues, lost = focus_context(features)
    used = (motion | soft) & (lost >= LEAST_LOST)
    return Examples(cues[used], motion[used], np.full(int(used.sum()), name))


def joined(parts: Sequence[Examples]) -> Examples:
    """All in one."""
    return Examples(
        np.concatenate([part.cues for part in parts]),
        np.concatenate([part.motion for part in parts]),
        np.concatenate([part.source for part in parts]),
    )


def fit(given: Examples, seed: int, steps: int = STEPS) -> FocusNet:
    """Binary cross-entropy, both kinds weighing the same; AdamW, cosine schedule, cues shaken a little."""
    torch.manual_seed(seed)
    cues, motion = torch.from_numpy(given.cues), torch.from_numpy(given.motion.astype(np.float32))
    net = FocusNet(cues.mean(0), cues.std(0) + 1e-3)
    share = torch.where(motion > 0.5, 0.5 / motion.mean(), 0.5 / (1.0 - motion.mean()))
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        drawn = torch.randint(len(cues), (BATCH,))
        shaken = cues[drawn] + 0.1 * net.deviation * torch.randn(BATCH, CUES)
        target = motion[drawn] * (1.0 - 2.0 * SMOOTHING) + SMOOTHING
        loss = F.binary_cross_entropy_with_logits(net(shaken), target, weight=share[drawn])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def fit_calibrated(given: Examples, seed: int) -> tuple[FocusNet, float, float]:
    """The net of all examples, its 0 moved to where `MOTION_KEPT` of the motion-blurred frames stay when their source
    was never seen (five folds over the sources); the shift, and the share of frames out of focus that it took back."""
    folds = np.array([sorted(set(given.source.tolist())).index(name) % 5 for name in given.source])
    logits = np.zeros(len(folds), np.float32)
    for number in range(5):
        apart = folds == number
        net = fit(Examples(given.cues[~apart], given.motion[~apart], given.source[~apart]), seed)
        with torch.inference_mode():
            logits[apart] = net(torch.from_numpy(given.cues[apart])).numpy()
    shift = float(np.quantile(logits[given.motion], 1.0 - MOTION_KEPT))
    taken_back = float((logits[~given.motion] < shift).mean())
    net = fit(given, seed)
    with torch.no_grad():
        net.focus3.bias.sub_(shift)
    return net, shift, taken_back


def main() -> None:
    """Makes the stretches, fits, writes the weights; one JSON object on stdout."""
    parser = training_options(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--mixed-rounds", type=int, default=4)
    parser.add_argument("--focus-rounds", type=int, default=1)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    began = time.monotonic()
    rng = np.random.default_rng(asked.seed)
    recorded = itertools.chain(
        kept(mixed_stretches, asked.data, range(asked.mixed_rounds), asked.seed, asked.recorded),
        kept(focus_stretches, asked.data, range(asked.focus_rounds), asked.seed, asked.recorded),
    )
    given = joined([part for stretch in recorded for part in examples(stretch, rng)])
    net, shift, taken_back = fit_calibrated(given, asked.seed)
    first = {name: value for name, value in load_file(asked.weights).items() if not name.startswith("focus")}
    tensors = {name: value.float().contiguous() for name, value in (first | net.tensors()).items()}
    save_file(tensors, asked.out, {"architecture": ARCHITECTURE, "focus_seed": str(asked.seed)})
    report = {
        "examples": len(given.motion), "out_of_focus": int((~given.motion).sum()), "shift": shift,
        "taken_back": taken_back, "minutes": (time.monotonic() - began) / 60.0,
    }  # fmt: skip
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
