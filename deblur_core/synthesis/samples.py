"""One training sample of a reference restorer: a blurred patch, its sharp truth and sharp neighbours, as recorded.

Everything that moves is moved the same way in the blurred frame and, at another time, in its neighbours: the camera
along a path, and now and then an object with a path of its own. Knows nothing about networks.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deblur_core.synthesis import compression, exposure, motion


@dataclass(frozen=True)
class SampleSettings:
    """patch: side of the patch that is learnt from; margin: what is cut around it for warps; both pixels."""

    patch: int = 192
    margin: int = 40
    most_blur_pixels: float = 20.0
    most_distance_frames: int = 8
    share_sharp: float = 0.05
    share_objects: float = 0.3
    share_averaged: float = 0.25


@dataclass(frozen=True)
class Sample:
    """All uint8 RGB [S, S, 3], S = patch + 2 × margin; neighbours are sharp, as recorded; `truth` is clean."""

    truth: np.ndarray
    blurred: np.ndarray
    before: np.ndarray
    after: np.ndarray


def draw_sample(frames: list[np.ndarray], rng: np.random.Generator, settings: SampleSettings) -> Sample:
    """Cuts a place of a clip (or photograph), exposes the middle frame along a motion, records everything."""
    size = settings.patch + 2 * settings.margin
    distances = np.minimum(1 + rng.geometric(0.4, 2) - 1, settings.most_distance_frames)
    averaged = len(frames) > 24 and rng.random() < settings.share_averaged
    stack = _cut_photo(frames[0], size, distances, rng) if len(frames) == 1 else None
    if stack is None:
        stack = _cut_clip(frames, size, distances, rng, reach=2 if averaged else 0)
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
        blurred, truth = exposure.expose(between_frames(bright)), middle
    else:
        blurred, truth, before, after = _expose_camera(bright[0], middle, before, after, rng, settings)
    recorded = _record([before, blurred, after], rng)
    return Sample(exposure.quantise(exposure.to_display(truth)), recorded[1], recorded[0], recorded[2])


def _cut_clip(
    frames: list[np.ndarray], size: int, distances: np.ndarray, rng: np.random.Generator, reach: int
) -> list[np.ndarray]:
    """[before, exposed…, after] at one place of a clip; `exposed` has 1 + 2 × reach frames."""
    span = reach + int(distances.max())
    span = min(span, (len(frames) - 1) // 2)
    middle = int(rng.integers(span, len(frames) - span))
    picks = [max(middle - reach - int(distances[0]), 0), *range(middle - reach, middle + reach + 1)]
    picks.append(min(middle + reach + int(distances[1]), len(frames) - 1))
    frame = frames[0]
    # A place smaller than the patch is enlarged by mirroring: small archive formats are learnt from too.
    height, width = frame.shape[:2]
    y = int(rng.integers(0, max(height - size, 0) + 1))
    x = int(rng.integers(0, max(width - size, 0) + 1))
    cuts = [frames[pick][y : y + size, x : x + size] for pick in picks]
    return [_fill(cut, size) for cut in cuts]


def _cut_photo(photo: np.ndarray, size: int, distances: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """A photograph seen by a camera that drifts: three cuts, each a little shifted, rolled and scaled."""
    height, width = photo.shape[:2]
    velocity = rng.normal(0.0, 5.0, 2)
    centre = np.array([rng.uniform(size / 2, width - size / 2), rng.uniform(size / 2, height - size / 2)])
    roll, zoom = rng.normal(0.0, 0.004), rng.normal(0.0, 0.003)
    cuts = []
    for time in (-float(distances[0]), 0.0, float(distances[1])):
        scale = 1.0 + zoom * time
        cosine, sine = np.cos(roll * time) * scale, np.sin(roll * time) * scale
        place = centre + velocity * time
        matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
        matrix[:, 2] = place - matrix[:, :2] @ np.array([size / 2, size / 2])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP if time else cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if not time:
            matrix = np.rint(matrix)
        cuts.append(cv2.warpAffine(photo, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101))
    return cuts


def _fill(cut: np.ndarray, size: int) -> np.ndarray:
    height, width = cut.shape[:2]
    if (height, width) == (size, size):
        return cut
    return cv2.copyMakeBorder(cut, 0, size - height, 0, size - width, cv2.BORDER_REFLECT_101)


def between_frames(frames: list[np.ndarray], most_steps: int = 12) -> list[np.ndarray]:
    """Fills the gaps between linear frames by flow, so that a fast thing smears instead of leaving ghosts."""
    engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    rows, columns = np.mgrid[0 : frames[0].shape[0], 0 : frames[0].shape[1]].astype(np.float32)
    grays = [exposure.quantise(exposure.to_display(frame)).mean(axis=2).astype(np.uint8) for frame in frames]
    out = []
    for index in range(len(frames) - 1):
        flow = engine.calc(grays[index], grays[index + 1], None)
        fast = float(np.percentile(np.linalg.norm(flow, axis=2), 95))
        steps = int(np.clip(np.ceil(fast / 1.5), 1, most_steps))
        for step in range(steps):
            weight = np.float32(step / steps)
            if step == 0:
                out.append(frames[index])
                continue
            first = cv2.remap(
                frames[index], columns - flow[..., 0] * weight, rows - flow[..., 1] * weight, cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            )  # fmt: skip
            second = cv2.remap(
                frames[index + 1], columns + flow[..., 0] * (1 - weight), rows + flow[..., 1] * (1 - weight),
                cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
            )  # fmt: skip
            out.append((1 - weight) * first + weight * second)
    out.append(frames[-1])
    return out


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


def _record(linear: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Noise, clipping, 8 bits, then H.264 or JPEG: the same camera and encoder for all the frames of a sample."""
    noise = exposure.SensorNoise.draw(rng)
    frames = [exposure.quantise(exposure.to_display(np.maximum(noise.add(frame, rng), 0.0))) for frame in linear]
    kind = rng.random()
    if kind < 0.55:
        return compression.h264(frames, crf=float(rng.uniform(16, 28)), preset="superfast")
    if kind < 0.9:
        quality = int(rng.integers(70, 98))
        return [compression.jpeg(frame, quality) for frame in frames]
    return frames
