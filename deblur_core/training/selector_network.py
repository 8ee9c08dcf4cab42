"""Trains DeblurNet's frame selection network on windows of recorded stretches, within a budget of minutes.

python -m deblur_core.training.selector_network --data CORPUS --out deblur_core/weights/deblurnet-selector.safetensors

The stretches are those of the default selector's training (deblur_core/training/selector_data.py).
"""

import copy
import json
import sys
import time
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from deblur_core.models.deblurnet import DeblurNetSelectorNetwork
from deblur_core.models.deblurnet_selector import (
    LEAST_TEXTURE,
    DeblurNetSelector,
    as_input,
    cut_windows,
    frame_values,
    seen_plane,
)
from deblur_core.models.precision import inference_dtype
from deblur_core.training.selector_data import RecordedStretch, kept, mixed_stretches, training_options

BATCH, PEAK_RATE, DECAY, AVERAGE = 32, 1e-3, 1e-2, 0.98
TAUGHT_WINDOW = 64
"""Pixels; a quarter of the area that is judged later, so four times as many are seen. Means over a larger window are
those of its parts."""

LEAN = 0.95
"""Added to a frame's logit: so 0.5 is where labels do least harm (docs/models.md). Settled on the held-out clips; the
logistic balances errors on training sources, half of whose frames without motion blur are soft."""

_SMOOTHING, _WARM = 0.02, 0.05
_APART_EVERY = 6
_JUDGED_FRAMES = 3


@dataclass(frozen=True)
class SeenStretch:
    """planes: as `seen_plane` gives them, uint8; blurred: bool [T], motion blur of the whole frame; labels: bool [T],
    motion blur of any part. A window of a frame that is blurred in part may show nothing of it: none is cut there."""

    name: str
    planes: list[np.ndarray]
    blurred: np.ndarray
    labels: np.ndarray


def seen(stretch: RecordedStretch) -> SeenStretch:
    """A recorded stretch at the size at which windows are cut."""
    planes = [np.rint(seen_plane(luma)).astype(np.uint8) for luma in stretch.lumas]
    return SeenStretch(stretch.name, planes, stretch.labels & (np.array(stretch.kinds) != "object"), stretch.labels)


class Windows:
    """Draws balanced batches of windows: every second one blurred, each stretch of a class equally often."""

    def __init__(self, stretches: list[SeenStretch], seed: int) -> None:
        """Raises ValueError unless there are whole frames of both kinds."""
        self._rng = np.random.default_rng(seed)
        blurred = [(each, np.flatnonzero(each.blurred)) for each in stretches if each.blurred.any()]
        sharp = [(each, np.flatnonzero(~each.labels)) for each in stretches if not each.labels.all()]
        if not blurred or not sharp:
            raise ValueError("Windows: wants blurred frames and others")
        self._of_class = (sharp, blurred)

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """float32 [size, 3, 64, 64] in [0, 1] and labels float32 [size], 1 blurred."""
        labels = np.arange(size) % 2
        windows = np.stack([self._window(*self._draw(int(label))) for label in labels])
        return as_input(windows), torch.from_numpy(labels.astype(np.float32))

    def _draw(self, label: int) -> tuple[SeenStretch, int]:
        stretch, frames = self._of_class[label][int(self._rng.integers(len(self._of_class[label])))]
        return stretch, int(self._rng.choice(frames))

    def _window(self, stretch: SeenStretch, number: int) -> np.ndarray:
        plane = stretch.planes[number]
        for _ in range(8):
            top, left = (int(self._rng.integers(0, max(side - TAUGHT_WINDOW, 0) + 1)) for side in plane.shape)
            window = plane[top : top + TAUGHT_WINDOW, left : left + TAUGHT_WINDOW].astype(np.float32)
            if window.std() >= LEAST_TEXTURE:
                break
        missing = [(0, TAUGHT_WINDOW - side) for side in window.shape]
        window = np.pad(window, missing, mode="reflect") if any(more for _, more in missing) else window
        window = window[:: self._rng.choice((-1, 1)), :: self._rng.choice((-1, 1))]
        window = window.T if self._rng.random() < 0.5 else window
        return np.clip(window * np.float32(self._rng.uniform(0.8, 1.1)), 0.0, 255.0)


def fit(windows: Windows, minutes: float, seed: int) -> tuple[DeblurNetSelectorNetwork, int, float]:
    """Binary cross-entropy, AdamW, one cycle of the rate over the minutes of processor time; the moving average of the
    weights, the steps taken and the last loss (running mean)."""
    torch.manual_seed(seed)
    network = DeblurNetSelector.new_network().train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=DECAY)
    dtype = inference_dtype(torch.device("cpu"))
    began, step, running = time.process_time(), 0, float(np.log(2.0))
    while (passed := (time.process_time() - began) / (60.0 * minutes)) < 1.0:
        rate = min(passed / _WARM, 1.0) * 0.5 * (1.0 + np.cos(np.pi * passed))
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * max(rate, 1e-3)
        inputs, labels = windows.batch(BATCH)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            sharp, blurred = network(inputs.contiguous(memory_format=torch.channels_last)).float().unbind(dim=1)
        target = labels * (1.0 - 2.0 * _SMOOTHING) + _SMOOTHING
        loss = F.binary_cross_entropy_with_logits(blurred - sharp, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        with torch.no_grad():
            inertia = min(AVERAGE, step / (step + 10.0))
            for held, new in zip(average.parameters(), network.parameters(), strict=True):
                held.lerp_(new, 1.0 - inertia)
            for held_statistic, statistic in zip(average.buffers(), network.buffers(), strict=True):
                held_statistic.copy_(statistic)
        running += 0.05 * (float(loss.detach()) - running)
        step += 1
        if step % 25 == 0:
            sys.stderr.write(f"step {step}, {passed:.0%} of the time, loss {running:.3f}\n")
    return average.eval(), step, running


@torch.inference_mode()
def fit_frames(network: DeblurNetSelectorNetwork, apart: list[SeenStretch], seed: int) -> tuple[Tensor, Tensor]:
    """Weight [2] and bias [1] of a frame's logit, by logistic regression on frames of sources the network never saw.

    Both kinds of frames weigh the same, whatever their share. Raises ValueError without both.
    """
    rng = np.random.default_rng(seed)
    values, labels = [], []
    dtype = inference_dtype(torch.device("cpu"))
    for stretch in apart:
        for number in rng.permutation(len(stretch.planes))[:_JUDGED_FRAMES]:
            windows = cut_windows(stretch.planes[number].astype(np.float32))
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                sharp, blurred = network(as_input(windows)).float().unbind(dim=1)
            values.append(frame_values((blurred - sharp).numpy(), windows)[0, :2])
            labels.append(bool(stretch.labels[number]))
    positive = np.array(labels)
    if positive.all() or not positive.any():
        raise ValueError("fit_frames: wants blurred frames and others")
    share = np.where(positive, 0.5 / positive.mean(), 0.5 / (1.0 - positive.mean())).astype(np.float32)
    return _logistic(torch.from_numpy(np.stack(values)), torch.from_numpy(positive).float(), torch.from_numpy(share))


def _logistic(values: Tensor, labels: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Weights are kept at 0 or more: more blur in a window never makes a frame sharper."""
    with torch.inference_mode(False), torch.enable_grad():
        values, labels, share = values.clone(), labels.clone(), share.clone()
        root = torch.full((2,), 0.7, requires_grad=True)
        bias = torch.zeros(1, requires_grad=True)
        optimiser = torch.optim.Adam([root, bias], 0.02)
        for _ in range(1500):
            loss = F.binary_cross_entropy_with_logits(values @ root.square() + bias, labels, weight=share)
            loss = loss + 1e-3 * root.square().square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return root.square().detach(), bias.detach()


def main() -> None:
    """Makes the stretches, fits, writes the weights in half precision; one JSON object on stdout."""
    parser = training_options(__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=12.0, help="of fitting, processor time [12]")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    began = time.monotonic()
    recorded = kept(mixed_stretches, asked.data, range(asked.rounds), asked.seed, asked.recorded)
    made = [seen(each) for each in recorded]
    names = sorted({each.name for each in made})
    apart = set(names[asked.seed % _APART_EVERY :: _APART_EVERY])
    making = (time.monotonic() - began) / 60.0
    windows = Windows([each for each in made if each.name not in apart], asked.seed)
    network, steps, loss = fit(windows, asked.minutes, asked.seed)
    weight, bias = fit_frames(network, [each for each in made if each.name in apart], asked.seed)
    tensors = network.state_dict() | {"frame.weight": weight, "frame.bias": bias + LEAN}
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, asked.out)
    report = {
        "stretches": len(made), "frames": sum(len(each.labels) for each in made), "apart": sorted(apart),
        "steps": steps, "loss": loss, "frame_weight": weight.tolist(), "frame_bias": bias.tolist(),
        "making_minutes": making, "minutes": (time.monotonic() - began) / 60.0,
    }  # fmt: skip
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
