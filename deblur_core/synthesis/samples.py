"""One training sample of a reference restorer: a blurred patch, its sharp truth and sharp neighbours, as recorded.

Everything that moves is moved the same way in the blurred frame and, at another time, in its neighbours: the camera
along a path, and now and then an object with a path of its own. Knows nothing about networks.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deblur_core.synthesis import exposure, motion
from deblur_core.synthesis.interpolation import mean_over_time
from deblur_core.synthesis.middle import is_centred
from deblur_core.synthesis.recording import record_sample
from deblur_core.synthesis.scenes import cut_scene


@dataclass(frozen=True)
class SampleSettings:
    """patch: side of the patch that is learnt from; margin: what is cut around it for warps; both pixels.

    window: consecutive frames that a sample shows, the blurred one in the middle; truths: how many it has, one, one for
    each frame of the window, or one for each moment of the exposure.
    """

    patch: int = 192
    margin: int = 40
    most_blur_pixels: float = 20.0
    most_distance_frames: int = 8
    share_sharp: float = 0.05
    share_objects: float = 0.3
    share_averaged: float = 0.25
    window: int = 1
    truths: int = 1


@dataclass(frozen=True)
class Sample:
    """All uint8 RGB [S, S, 3], S = patch + 2 × margin; neighbours are sharp, as recorded; `truth` is clean."""

    truth: np.ndarray
    blurred: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @property
    def window(self) -> tuple[np.ndarray, ...]:
        """The blurred frame among its neighbours: here alone."""
        return (self.blurred,)

    @property
    def truths(self) -> tuple[np.ndarray, ...]:
        """What is to be learnt, in order of time: here the one truth."""
        return (self.truth,)


def draw_sample(frames: list[np.ndarray], rng: np.random.Generator, settings: SampleSettings) -> Sample:
    """Cuts a place of a clip (or photograph), exposes the middle frame along a motion, records everything."""
    size = settings.patch + 2 * settings.margin
    distances = np.minimum(1 + rng.geometric(0.4, 2) - 1, settings.most_distance_frames)
    averaged = len(frames) > 24 and rng.random() < settings.share_averaged
    reach = 2 if averaged else 0
    offsets = [-reach - int(distances[0]), *range(-reach, reach + 1), reach + int(distances[1])]
    stack = cut_scene(frames, size, offsets, rng)
    if averaged and not is_centred(stack[1:-1], 0.0):
        stack = [stack[0], stack[1 + reach], stack[-1]]
    before, *exposed, after = [exposure.to_linear(frame.astype(np.float32) / 255.0) for frame in stack]
    middle = exposed[len(exposed) // 2]
    if rng.random() < 0.3:
        gain = float(rng.uniform(1.5, 4.0))
        bright = [exposure.expand_highlights(frame, gain) for frame in exposed]
    else:
        bright = exposed
    if rng.random() < settings.share_sharp:
        blurred, truth = middle, middle
    elif len(exposed) > 1:
        blurred, truth = mean_over_time(bright), middle
    else:
        blurred, truth, before, after = _expose_camera(bright[0], middle, before, after, rng, settings)
    recorded = record_sample([before, blurred, after], rng)
    return Sample(exposure.quantise(exposure.to_display(truth)), recorded[1], recorded[0], recorded[2])


def _expose_camera(
    bright: np.ndarray,
    middle: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    rng: np.random.Generator,
    settings: SampleSettings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Camera shake, an object of its own motion, or both. Returns blurred, truth, before, after (linear)."""
    length = float(rng.uniform(1.5, settings.most_blur_pixels))
    path = motion.shake_path(rng, length)
    if rng.random() < settings.share_objects:
        return _expose_object(bright, middle, before, after, path, rng, settings)
    if rng.random() < 0.5:
        return motion.convolve(bright, motion.path_kernel(path)), middle, before, after
    size = bright.shape[0]
    centre = (float(rng.uniform(-size, 2 * size)), float(rng.uniform(-size, 2 * size)))
    samples = motion.path_samples(path)
    rolls = np.linspace(-0.5, 0.5, len(samples)) * rng.normal(0.0, 0.25 * length / size)
    frames = (
        motion.roll_and_shift(bright, offset, float(roll), centre) for offset, roll in zip(samples, rolls, strict=True)
    )
    return exposure.expose(frames), middle, before, after


def _expose_object(
    bright: np.ndarray,
    middle: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    path: np.ndarray,
    rng: np.random.Generator,
    settings: SampleSettings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A thing in front of the scene moves along `path` during the exposure and on in the neighbours.

    Its texture is another part of the scene, turned over, so that it never matches what it covers.
    """
    size = bright.shape[0]
    texture = np.ascontiguousarray(np.roll(bright[::-1, ::-1], int(rng.integers(size)), axis=1))
    texture = np.clip(texture * np.float32(rng.uniform(0.5, 1.6)), 0.0, 4.0)
    mask = _soft_shape(size, rng)
    velocity = (path[-1] - path[0]) * rng.uniform(1.0, 2.0)

    def composite(scene: np.ndarray, offset: np.ndarray) -> np.ndarray:
        alpha = motion.shift(mask, offset)[..., None]
        return scene * (1.0 - alpha) + motion.shift(texture, offset) * alpha

    shaken = motion.shake_path(rng, float(rng.uniform(0.5, 6.0))) if rng.random() < 0.4 else None
    samples = motion.path_samples(path)
    background = motion.path_samples(shaken, most=len(samples)) if shaken is not None else None
    exposed = []
    for number, offset in enumerate(samples):
        scene = bright
        if background is not None:
            scene = motion.shift(bright, background[number * len(background) // len(samples)])
        exposed.append(composite(scene, offset))
    still = np.zeros(2, np.float32)
    return (
        exposure.expose(exposed),
        composite(middle, still),
        composite(before, -velocity),
        composite(after, velocity),
    )


def _soft_shape(size: int, rng: np.random.Generator) -> np.ndarray:
    """A random smooth blob, float32 [size, size] in [0, 1], edges about 2 px wide."""
    noise = rng.standard_normal((6, 6)).astype(np.float32)
    field = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    field = (field - np.quantile(field, rng.uniform(0.4, 0.85))) * np.float32(size / 12.0)
    return np.clip(field + 0.5, 0.0, 1.0)
