"""A little tune for the demonstration's videos, so that sound out of step with the picture would be heard.

Knows no codec and no container.
"""

import numpy as np

SAMPLE_RATE = 48000

_PENTATONIC_HERTZ = (220.0, 246.9, 293.7, 329.6, 392.0, 440.0, 493.9, 587.3)
_BEAT_SECONDS = 0.24


def melody(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Plucked notes on a pentatonic scale: float32 [2, N] in (-1, 1) at `SAMPLE_RATE`, left and right apart."""
    samples = np.zeros((2, round(seconds * SAMPLE_RATE)), np.float32)
    note = int(rng.integers(len(_PENTATONIC_HERTZ)))
    for beat in range(int(np.ceil(seconds / _BEAT_SECONDS))):
        start = round(beat * _BEAT_SECONDS * SAMPLE_RATE)
        time = np.arange(min(SAMPLE_RATE, samples.shape[1] - start)) / SAMPLE_RATE
        wave = sum(np.sin(2 * np.pi * _PENTATONIC_HERTZ[note] * k * time) / k**2 for k in (1, 2, 3))
        plucked = 0.16 * wave * np.exp(-5.0 * time) * np.minimum(time / 0.005, 1.0)
        place = rng.uniform(0.25, 0.75)
        samples[:, start : start + len(time)] += np.outer([1.0 - place, place], plucked).astype(np.float32)
        note = int(np.clip(note + rng.integers(-2, 3), 0, len(_PENTATONIC_HERTZ) - 1))
    return np.clip(samples, -0.95, 0.95)
