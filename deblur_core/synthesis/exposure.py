"""What a sensor does during one exposure: light adds up linearly, highlights clip, photons and electronics add noise.

Frames are float32 in [0, 1] here, either display-referred ("display") or linear light ("linear"). Knows nothing about
where the motion comes from.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

GAMMA = 2.2


def to_linear(display: np.ndarray) -> np.ndarray:
    """Display-referred float32 in [0, 1] → linear light float32 in [0, 1]."""
    return np.power(display, GAMMA, dtype=np.float32)


def to_display(linear: np.ndarray) -> np.ndarray:
    """Linear light (any non-negative float) → display-referred float32 in [0, 1]; what is brighter than 1 clips."""
    return np.power(np.clip(linear, 0.0, 1.0), 1.0 / GAMMA, dtype=np.float32)


def expand_highlights(linear: np.ndarray, gain: float, knee: float = 0.8) -> np.ndarray:
    """Gives clipped highlights back the energy that the recording lost, so that they smear as real lamps do.

    Values above `knee` rise smoothly to `gain` at 1.0 (RSBlur, ECCV 2022, section 4: saturated pixels).
    """
    excess = np.clip((linear - knee) / (1.0 - knee), 0.0, 1.0)
    return linear + excess * excess * np.float32(gain - 1.0)


def expose(linear_frames: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of linear frames [H, W, 3]: what the sensor collects while they pass before it."""
    total: np.ndarray | None = None
    count = 0
    for frame in linear_frames:
        total = frame.astype(np.float32, copy=True) if total is None else np.add(total, frame, out=total)
        count += 1
    if total is None:
        raise ValueError("expose: no frames")
    return total / np.float32(count)


@dataclass(frozen=True)
class SensorNoise:
    """Poisson-Gaussian noise in linear light: variance = shot × signal + read²."""

    shot: float
    read: float

    @staticmethod
    def draw(rng: np.random.Generator) -> "SensorNoise":
        """A camera between daylight (nearly clean) and dusk."""
        strength = float(rng.uniform(0.0, 1.0)) ** 2
        return SensorNoise(shot=0.0025 * strength, read=0.006 * strength)

    def scaled(self, factor: float) -> "SensorNoise":
        """The same sensor, `factor` times as noisy; 0 for none."""
        return SensorNoise(shot=self.shot * factor, read=self.read * factor)

    def add(self, linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Adds the noise to linear light [H, W, 3]; the result may leave [0, 1] until it is clipped for display."""
        deviation = np.sqrt(self.shot * np.clip(linear, 0.0, None) + self.read**2, dtype=np.float32)
        return linear + deviation * rng.standard_normal(linear.shape, dtype=np.float32)


def quantise(display: np.ndarray) -> np.ndarray:
    """Display-referred float in [0, 1] → uint8."""
    return np.rint(np.clip(display, 0.0, 1.0) * 255.0).astype(np.uint8)
