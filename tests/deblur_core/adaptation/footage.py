"""Small footage and networks for the tests of adaptation. Knows nothing of what is tested."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from deblur_core.adaptation.footage import Footage
from deblur_core.models.network import RestorationNetwork
from tests.media import moving_texture

SIZE = (96, 80)


class TinyNetwork(RestorationNetwork):
    """Adds a small convolution of all that it sees to each of its frames; untrained it changes nothing."""

    def __init__(self, frames: int = 1, references: int = 0, outputs: int = 1) -> None:
        super().__init__()
        self.frames, self.references, self.outputs = frames, references, outputs
        self.first = nn.Conv2d(self.input_channels, 16, 5, padding=2)
        self.last = nn.Conv2d(16, 3 * outputs, 5, padding=2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias if self.last.bias is not None else torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        middle = x[:, 3 * (self.frames // 2) : 3 * (self.frames // 2) + 3]
        seen = x[:, : 3 * self.frames] if self.outputs == self.frames else middle.repeat(1, self.outputs, 1, 1)
        return seen + self.last(torch.relu(self.first(x)))


def partly_blurred(
    frames: int = 20, blurred: Sequence[int] = range(8, 14), size: tuple[int, int] = SIZE, name: str = "clip"
) -> Footage:
    """A texture that pans, some frames of it blurred hard."""
    out = []
    for number, picture in enumerate(moving_texture(frames, size)):
        out.append(cv2.blur(picture, (9, 1)) if number in blurred else picture)
    return Footage(name, out, np.isin(np.arange(frames), list(blurred)))


@dataclass(frozen=True)
class Panned:
    """footage: as a camera that pans sees it, blurred by that pan alone; truth: the same moments, sharp."""

    footage: Footage
    truth: Footage


def panned(steps_pixels: int = 6, size: int = 128, across: bool = False) -> Panned:
    """Seven frames of a camera that pans to the right; the third to the fifth are blurred over half the way.

    across: they are blurred downwards instead, by a shake that no neighbour shows.
    """
    reach = steps_pixels * 7
    canvas = next(iter(moving_texture(1, (size + reach + 40, size + 40)))).astype(np.float32) / 255.0
    canvas = cv2.GaussianBlur(canvas, (0, 0), 1.0) ** 2.2
    recorded, truth = [], []
    labels = np.array([False, False, True, True, True, False, False])
    for number in range(7):
        moments = []
        for time in np.linspace(-0.5, 0.5, 13) * steps_pixels:
            x, y = 20 + number * steps_pixels, 20
            x, y = (x, y + round(time)) if across else (x + round(time), y)
            moments.append(canvas[y : y + size, x : x + size])
        sharp = moments[6]
        light = np.mean(moments, axis=0) if labels[number] else sharp
        truth.append(np.rint(sharp ** (1 / 2.2) * 255).astype(np.uint8))
        recorded.append(np.rint(light ** (1 / 2.2) * 255).astype(np.uint8))
    return Panned(Footage("pan", recorded, labels), Footage("pan", truth, labels))
