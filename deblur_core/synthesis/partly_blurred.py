"""A sharp clip made into a partly blurred one with known truth: runs of blurred frames among sharp ones, one recording.

Sharp and blurred frames get the same sensor noise and go through the same encoder, so that nothing but blur tells them
apart. A moving object, where there is one, is seen in every frame and smears only in its own runs. Knows no network and
no file: frames in, frames out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deblur_core.optical_flow import rough_flow
from deblur_core.synthesis import exposure, motion
from deblur_core.synthesis.defocus import DEFOCUS, defocus
from deblur_core.synthesis.interpolation import mean_over_time
from deblur_core.synthesis.middle import is_centred, small_luma
from deblur_core.synthesis.recording import Encoder, Recording, sense

KINDS = ("shake", "roll", "averaged", "object")

_LINEAR = exposure.to_linear(np.arange(256, dtype=np.float32) / 255.0)
_LEAST_OBJECT_SHARE = 0.04
_VISIBLE = 0.02


@dataclass(frozen=True)
class PartlyBlurredSettings:
    """What may be drawn; pairs are (least, most). Blur is the extent of the path of one exposure, in pixels.

    `blur_pixels` hold for a shorter side of 540 (the least: up to 720) and grow with the frame, as visible blur does.
    `kind_weights` belong to `KINDS`; `share_with_object` of the clips have an object, and its kind counts only there.
    `share_defocused` of the runs are out of focus instead. `share_highlights` of the clips get clipped light back,
    `highlight_gain` times. `share_jpeg` of the clips go through JPEG, the others through H.264; `noise` multiplies the
    sensor's noise.
    """

    run_frames: tuple[int, int] = (3, 12)
    blurred_share: tuple[float, float] = (0.15, 0.7)
    blur_pixels: tuple[float, float] = (2.5, 18.0)
    kind_weights: tuple[float, float, float, float] = (0.45, 0.2, 0.2, 0.4)
    share_with_object: float = 0.4
    share_defocused: float = 0.0
    share_highlights: float = 0.3
    highlight_gain: tuple[float, float] = (1.5, 4.0)
    crf: tuple[float, float] = (16.0, 30.0)
    share_jpeg: float = 0.2
    jpeg_quality: tuple[int, int] = (70, 96)
    noise: float = 1.0


@dataclass(frozen=True)
class PartlyBlurred:
    """frames: as recorded; truth: the same moments without blur, noise and compression; both uint8 RGB [H, W, 3] each.

    labels: bool [T], true where blurred; strength_pixels: float32 [T], 0 where sharp; kinds: `sharp`, one of `KINDS`
    or `defocus`.
    """

    frames: list[np.ndarray]
    labels: np.ndarray
    truth: list[np.ndarray]
    strength_pixels: np.ndarray
    kinds: tuple[str, ...]


def blur_clip(
    frames: Sequence[np.ndarray],
    rng: np.random.Generator,
    settings: PartlyBlurredSettings | None = None,
    recording: Recording | None = None,
) -> PartlyBlurred:
    """Blurs runs of a sharp clip: T frames uint8 RGB [H, W, 3] of one size → as many frames, with labels and truth.

    The same generator state gives the same result. recording: the camera that the clip is part of; drawn from the
    settings where there is none. At most `blurred_share[1]` of the frames are blurred, and one always stays sharp; a
    clip too short for a run stays sharp throughout. Raises ValueError without frames.
    """
    if not len(frames):
        raise ValueError("blur_clip: no frames")
    settings = settings or PartlyBlurredSettings()
    gain = float(rng.uniform(*settings.highlight_gain)) if rng.random() < settings.share_highlights else 1.0
    noise = exposure.SensorNoise.draw(rng).scaled(settings.noise) if recording is None else recording.noise
    thing = _MovingObject(frames[0], rng) if rng.random() < settings.share_with_object else None
    runs = {number: run for run in _draw_runs(len(frames), thing is not None, rng, settings) for number in run.frames}
    strengths = np.zeros(len(frames), np.float32)
    kinds = ["sharp"] * len(frames)
    taken, truth = [], []
    for number in range(len(frames)):
        scene = _Moment(frames, number, gain, thing)
        sharp = scene.sharp()
        exposed = sharp
        if number in runs:
            exposed, kinds[number], strengths[number] = _expose(scene, sharp, runs[number], rng, settings)
        if thing is not None:
            thing.move(float(strengths[number]) if kinds[number] == "object" else thing.pace_pixels, rng)
        truth.append(exposure.quantise(exposure.to_display(sharp)))
        taken.append(sense(exposed, noise, rng))
    if recording is None:
        encoder = Encoder.draw(rng, settings.share_jpeg, settings.jpeg_quality, settings.crf)
    else:
        encoder = recording.encoder
    return PartlyBlurred(encoder.encode(taken), strengths > 0.0, truth, strengths, tuple(kinds))


@dataclass(frozen=True)
class _Run:
    """Neighbouring frames blurred in one way; `fraction` in [0, 1] places their strength in the allowed range."""

    frames: range
    kind: str
    fraction: float


def _draw_runs(count: int, with_object: bool, rng: np.random.Generator, settings: PartlyBlurredSettings) -> list[_Run]:
    """Runs apart by at least one sharp frame, together about a drawn share of `count` frames."""
    shortest, longest = settings.run_frames
    budget = min(int(count * rng.uniform(*settings.blurred_share)), int(count * settings.blurred_share[1]), count - 1)
    lengths: list[int] = []
    while budget - sum(lengths) >= shortest and count - sum(lengths) > len(lengths) + shortest:
        lengths.append(min(int(rng.integers(shortest, longest + 1)), budget - sum(lengths)))
    spare = count - sum(lengths) - max(len(lengths) - 1, 0)
    gaps = rng.multinomial(spare, rng.dirichlet(np.full(len(lengths) + 1, 2.0)))
    weights = np.array(settings.kind_weights) * [1.0, 1.0, 1.0, float(with_object)]
    runs, start = [], 0
    for gap, length in zip(gaps, lengths, strict=False):
        start += int(gap)
        kind = KINDS[int(rng.choice(len(KINDS), p=weights / weights.sum()))]
        if settings.share_defocused > 0.0 and rng.random() < settings.share_defocused:
            kind = DEFOCUS
        runs.append(_Run(range(start, start + length), kind, float(rng.random() ** 1.3)))
        start += length + 1
    return runs


def blur_range_pixels(height: int, width: int, settings: PartlyBlurredSettings) -> tuple[float, float]:
    """The least and the most blur for frames of this size, pixels."""
    side = min(height, width)
    least = settings.blur_pixels[0] * max(1.0, side / 720.0)
    return least, max(settings.blur_pixels[1] * side / 540.0, 2.0 * least)


class _MovingObject:
    """A textured thing in front of the scene: where it is, where it goes. Its texture is another part of the scene."""

    def __init__(self, frame: np.ndarray, rng: np.random.Generator) -> None:
        self._frame_height, self._frame_width = frame.shape[:2]
        share = rng.uniform(1.5 * _LEAST_OBJECT_SHARE, 0.25)
        aspect = np.exp(rng.normal(0.0, 0.3))
        height = int(np.clip(np.sqrt(share * frame.shape[0] * frame.shape[1] * aspect * 1.27), 8, frame.shape[0]))
        width = int(np.clip(share * frame.shape[0] * frame.shape[1] * 1.27 / height, 8, frame.shape[1]))
        cuts = [_cut(frame, height, width, rng) for _ in range(4)]
        best = max(cuts, key=lambda cut: float(np.abs(np.diff(cut.astype(np.float32), axis=1)).mean()))
        gain = np.float32(rng.uniform(0.6, 1.5))
        texture = _LINEAR[best[::-1, :: -1 if rng.random() < 0.5 else 1]] * gain
        alpha = _blob(height, width, rng)
        self._premultiplied = np.dstack([texture * alpha[..., None], alpha])
        self._place = np.array([rng.uniform(0, frame.shape[1] - width), rng.uniform(0, frame.shape[0] - height)])
        self._heading = rng.uniform(0.0, 2.0 * np.pi)
        # What moves with a short shutter stays sharp: its own pace between frames must not give blur away.
        self.pace_pixels = float(np.exp(rng.uniform(np.log(0.2), np.log(0.03 * min(frame.shape[:2])))))
        self.share = float(alpha.mean() * height * width / (frame.shape[0] * frame.shape[1]))

    def path(self, length_pixels: float) -> np.ndarray:
        """float32 [N, 2]: the straight way of one exposure."""
        direction = np.array([np.cos(self._heading), np.sin(self._heading)])
        return np.linspace(-0.5, 0.5, 64)[:, None].astype(np.float32) * (direction * length_pixels).astype(np.float32)

    def paint(self, scene: np.ndarray, length_pixels: float) -> np.ndarray:
        """The linear scene [H, W, 3] with the object before it, smeared over `length_pixels`."""
        whole = np.floor(self._place).astype(int)
        kernel = motion.path_kernel(self.path(length_pixels) + (self._place - whole).astype(np.float32))
        margin = kernel.shape[0] // 2
        padded = cv2.copyMakeBorder(self._premultiplied, margin, margin, margin, margin, cv2.BORDER_CONSTANT)
        smeared = cv2.filter2D(padded, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_CONSTANT)
        left, top = whole - margin
        rows = slice(max(top, 0), min(top + smeared.shape[0], scene.shape[0]))
        columns = slice(max(left, 0), min(left + smeared.shape[1], scene.shape[1]))
        layer = smeared[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        painted = scene.copy()
        painted[rows, columns] = scene[rows, columns] * (1.0 - layer[..., 3:]) + layer[..., :3]
        return painted

    def move(self, length_pixels: float, rng: np.random.Generator) -> None:
        """On by one frame, turning a little, away from the frame's borders."""
        room = np.array([self._frame_width, self._frame_height]) - self._premultiplied.shape[1::-1]
        self._heading += float(rng.normal(0.0, 0.1))
        step = np.array([np.cos(self._heading), np.sin(self._heading)]) * length_pixels
        if np.any(self._place + step < 0) or np.any(self._place + step > room):
            centre = room / 2.0 - self._place
            self._heading = float(np.arctan2(centre[1], centre[0]) + rng.normal(0.0, 0.4))
        self._place = np.clip(self._place + step, 0.0, np.maximum(room, 0.0))


def _cut(frame: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    y = int(rng.integers(0, frame.shape[0] - height + 1))
    x = int(rng.integers(0, frame.shape[1] - width + 1))
    return frame[y : y + height, x : x + width]


def _blob(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [height, width] in [0, 1]: a rounded shape with a wavy edge about 2 px wide."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    waves = cv2.resize(rng.standard_normal((5, 5)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    power = float(rng.uniform(2.0, 5.0))
    field = 0.92 - (np.abs(x) ** power + np.abs(y) ** power) ** (1.0 / power) + 0.05 * waves
    return np.clip(field * min(height, width) / 4.0 + 0.5, 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class _Moment:
    """One frame of the clip and what stands around it, in linear light."""

    frames: Sequence[np.ndarray]
    number: int
    gain: float
    thing: _MovingObject | None

    def background(self, number: int) -> np.ndarray:
        linear = _LINEAR[self.frames[number]]
        return exposure.expand_highlights(linear, self.gain) if self.gain > 1.0 else linear

    def sharp(self) -> np.ndarray:
        return self.with_object(self.background(self.number), 0.0)

    def with_object(self, scene: np.ndarray, length_pixels: float) -> np.ndarray:
        return self.thing.paint(scene, length_pixels) if self.thing is not None else scene


def _expose(
    scene: _Moment, sharp: np.ndarray, run: _Run, rng: np.random.Generator, settings: PartlyBlurredSettings
) -> tuple[np.ndarray, str, float]:
    """The blurred frame in linear light, how it came to be, and its strength in pixels.

    What would hardly be seen (an object or a pan without texture, a scene that stands still) is shaken instead.
    """
    least, most = blur_range_pixels(sharp.shape[0], sharp.shape[1], settings)
    length = float(np.clip((least + (most - least) * run.fraction) * rng.uniform(0.85, 1.15), least, most))
    if run.kind == DEFOCUS:
        return defocus(sharp, length / 2.0), DEFOCUS, length
    if run.kind == "object" and scene.thing is not None and scene.thing.share >= _LEAST_OBJECT_SHARE:
        length = max(length, 1.6 * least)
        exposed = scene.with_object(scene.background(scene.number), length)
        if _changed_share(exposed, sharp) > 0.4 * scene.thing.share:
            return exposed, "object", length
    if run.kind == "averaged" and (reach := _reach(scene, least, most)) is not None:
        stack = [scene.background(scene.number + step) for step in range(-reach[0], reach[0] + 1)]
        exposed = scene.with_object(mean_over_time(stack), reach[1])
        return exposed, "averaged", reach[1]
    path = motion.shake_path(rng, length)
    if run.kind == "roll":
        return _rolled(sharp, path, length, rng), "roll", length
    return motion.convolve(sharp, motion.path_kernel(path)), "shake", length


def _changed_share(exposed: np.ndarray, sharp: np.ndarray) -> float:
    """The share of pixels that blur changed visibly."""
    difference = np.abs(exposure.to_display(exposed[::2, ::2, 1]) - exposure.to_display(sharp[::2, ::2, 1]))
    return float((difference > _VISIBLE).mean())


def _reach(scene: _Moment, least: float, most: float) -> tuple[int, float] | None:
    """How many neighbours on each side to average, and the blur in pixels that comes of it; None where that fails.

    Half of the frame or more must move by the least blur, and evenly, or the frame would not be the mean's truth; a
    motion too fast to follow would leave ghosts.
    """
    number = scene.number
    first, scale = small_luma(scene.frames[max(number - 1, 0)])
    last, _ = small_luma(scene.frames[min(number + 1, len(scene.frames) - 1)])
    across = float(np.median(np.linalg.norm(rough_flow(first, last), axis=2))) / scale
    for reach in (1, 2, 3):
        blur = across * reach
        if number < reach or number + reach >= len(scene.frames) or blur > 1.5 * most:
            return None
        if blur >= 1.2 * least:
            return (reach, blur) if is_centred(scene.frames[number - reach : number + reach + 1], blur) else None
    return None


def _rolled(sharp: np.ndarray, path: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    height, width = sharp.shape[:2]
    centre = (float(rng.uniform(-width, 2 * width)), float(rng.uniform(-height, 2 * height)))
    samples = motion.path_samples(path, most=21)
    rolls = np.linspace(-0.5, 0.5, len(samples)) * rng.normal(0.0, 0.5 * length / max(height, width))
    return exposure.expose(
        motion.roll_and_shift(sharp, offset, float(roll), centre) for offset, roll in zip(samples, rolls, strict=True)
    )
