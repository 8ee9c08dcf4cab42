"""Training samples of networks that see several frames or give several: consecutive frames, each with its own blur.

In a partly blurred video the frames around a blurred one are blurred in their own ways or sharp. For networks that give
the moments of one exposure, the truths are the sharp frames that the exposure passed through. Knows no network.
"""

from dataclasses import dataclass

import numpy as np

from deblur_core.synthesis import exposure, motion
from deblur_core.synthesis.recording import record_sample
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.synthesis.scenes import cut_scene

_SHARE_SHARP_NEIGHBOURS = 0.3
_SHARE_ROLLED = 0.4


@dataclass(frozen=True)
class WindowSample:
    """All uint8 RGB [S, S, 3]. window: frames as recorded, oldest first; truths: clean, in order of time, the target's
    in the middle; before, after: the nearest sharp frames as recorded."""

    window: tuple[np.ndarray, ...]
    truths: tuple[np.ndarray, ...]
    before: np.ndarray
    after: np.ndarray

    @property
    def blurred(self) -> np.ndarray:
        """The frame to be restored."""
        return self.window[len(self.window) // 2]


@dataclass(frozen=True)
class _Shake:
    """A camera's motion during one exposure: shifts along a path, pixels, and a roll about a far or near point."""

    path: np.ndarray
    roll_radians: float
    centre: tuple[float, float]

    def moment(self, scene: np.ndarray, place: float) -> np.ndarray:
        """The scene as it stood before the lens at `place` of the exposure, 0 to 1; at 0.5 it is the scene itself."""
        offset = self.path[round(place * (len(self.path) - 1))] - self.path[len(self.path) // 2]
        return motion.roll_and_shift(scene, offset, (place - 0.5) * self.roll_radians, self.centre)


def draw_window(frames: list[np.ndarray], rng: np.random.Generator, settings: SampleSettings) -> WindowSample:
    """A window of `settings.window` frames around a blurred one at a random place of a clip or photograph.

    The target's truth is the scene at the middle of its exposure. With `settings.truths` equal to the window (and more
    than one) each frame's truth is given; with another number, that many moments of the target's exposure.
    """
    size, reach = settings.patch + 2 * settings.margin, settings.window // 2
    distances = np.minimum(1 + rng.geometric(0.4, 2) - 1, settings.most_distance_frames)
    offsets = [-reach - int(distances[0]), *range(-reach, reach + 1), reach + int(distances[1])]
    scene = [exposure.to_linear(cut.astype(np.float32) / 255.0) for cut in cut_scene(frames, size, offsets, rng)]
    gain = float(rng.uniform(1.5, 4.0)) if rng.random() < 0.3 else 1.0
    length = float(rng.uniform(1.5, settings.most_blur_pixels))
    before, *middle, after = scene
    shakes = [_draw_shake(size, length * float(rng.uniform(0.6, 1.4)), rng) for _ in middle]
    target_sharp = rng.random() < settings.share_sharp
    exposed = []
    for offset, (frame, shake) in enumerate(zip(middle, shakes, strict=True), -reach):
        sharp = target_sharp if offset == 0 else rng.random() < _SHARE_SHARP_NEIGHBOURS
        bright = exposure.expand_highlights(frame, gain) if gain > 1.0 else frame
        exposed.append(frame if sharp else _expose(bright, shake))
    recorded = record_sample([before, *exposed, after], rng)
    if settings.truths in (1, settings.window):
        truths = middle[reach : reach + 1] if settings.truths == 1 else middle
    else:
        places = np.linspace(0.0, 1.0, settings.truths)
        still = target_sharp
        truths = [middle[reach] if still else shakes[reach].moment(middle[reach], float(place)) for place in places]
    clean = tuple(exposure.quantise(exposure.to_display(truth)) for truth in truths)
    return WindowSample(tuple(recorded[1:-1]), clean, recorded[0], recorded[-1])


def _draw_shake(size: int, length: float, rng: np.random.Generator) -> _Shake:
    centre = (float(rng.uniform(-size, 2 * size)), float(rng.uniform(-size, 2 * size)))
    roll = float(rng.normal(0.0, 0.25 * length / size)) if rng.random() < _SHARE_ROLLED else 0.0
    return _Shake(motion.shake_path(rng, length, samples=65), roll, centre)


def _expose(scene: np.ndarray, shake: _Shake) -> np.ndarray:
    length = float(np.linalg.norm(np.diff(shake.path, axis=0), axis=1).sum())
    moments = int(np.clip(np.ceil(length), 3, 33)) | 1
    return exposure.expose(shake.moment(scene, float(place)) for place in np.linspace(0.0, 1.0, moments))
