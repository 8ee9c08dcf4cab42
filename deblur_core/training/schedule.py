"""How long a run lasts and how fast it learns at each step: a budget in minutes becomes a number of steps.

The learning rate follows the step, never the clock: a resumed run takes the very steps that an undisturbed one takes.
"""

from dataclasses import dataclass
from math import cos, pi

WARM_UP_STEPS = 100
CALIBRATION_STEPS = 40
LEAST_STEPS = 2 * WARM_UP_STEPS


def cosine_rate(step: int, total_steps: int, peak: float) -> float:
    """Linear warm-up over the first steps, then half a cosine to nearly zero (Loshchilov and Hutter 2017)."""
    progress = min(step / max(total_steps, 1), 1.0)
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * cos(pi * progress)) + 1e-6


def cyclic_rate(step: int, least: float, most: float, cycle_steps: int = 2600, gamma: float = 0.9999) -> float:
    """Triangular cyclic rate whose bounds decay by gamma^step (Smith 2017; DeblurNet, section IV-D)."""
    half = cycle_steps / 2
    height = 1.0 - abs((step % cycle_steps) / half - 1.0)
    return float((least + (most - least) * height) * gamma**step)


@dataclass(frozen=True)
class Budget:
    """seconds of wall clock, or exactly `steps` steps."""

    seconds: float | None = None
    steps: int | None = None
