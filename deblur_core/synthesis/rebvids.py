"""The REBVIDS model (DeblurNet, section IV-B): a clip of high rate made into a partly blurred one of lower rate.

The clip is cut into intervals of 7 to 12 frames. Most are averaged, which is one long exposure (Eq. 7); the others are
skipped and a sharp frame stands for them. The frame at the centre of each interval is the reference. Light goes in,
light comes out: knows no noise, no encoder and no file, and holds no more than one interval in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np

from deblur_core.shots import is_cut, thumbnail
from deblur_core.synthesis import exposure
from deblur_core.synthesis.defocus import DEFOCUS, defocus
from deblur_core.synthesis.interpolation import Motion, mean_over_time, motion_between

SHARP, AVERAGED = "sharp", "averaged"

_CLIPPED = 0.98  # linear light from which a recording has lost what was brighter
_VISIBLE, _LEAST_CHANGED_SHARE = 0.02, 0.005
_MOST_STEPS = 32


@dataclass(frozen=True)
class RebvidsSettings:
    """What may be drawn; pairs are (least, most), both included.

    blurred_share: of the output frames, REBVIDS has 70 % at most; averaging: in light, as a sensor does, or in signal
    space, as the paper does; share_highlights of the clips get clipped light back before they are averaged,
    `highlight_gain` times, in linear light only; share_defocused of the blurred runs are out of focus instead.
    least_blur_pixels, disc_pixels: extent of visible motion and diameter of the disc, for a shorter side up to 720 and
    of 540, growing with the frame.
    """

    interval_frames: tuple[int, int] = (7, 12)
    blurred_share: tuple[float, float] = (0.4, 0.7)
    averaging: Literal["linear", "signal"] = "linear"
    share_highlights: float = 0.3
    highlight_gain: tuple[float, float] = (1.5, 4.0)
    share_defocused: float = 0.0
    least_blur_pixels: float = 2.5
    disc_pixels: tuple[float, float] = (3.0, 18.0)


@dataclass(frozen=True)
class Interval:
    """Frames `first` to `last` of the clip, both included, become one; `centre` is its reference.

    halved: the interval's length is even, so that its centre lies between two frames; it reaches half a frame further
    and its outermost frames count half. kind: `sharp`, `averaged` or `defocus`; disc_fraction in [0, 1] places the disc
    in the allowed range.
    """

    first: int
    last: int
    halved: bool
    kind: str = SHARP
    disc_fraction: float = 0.0

    @property
    def centre(self) -> int:
        return (self.first + self.last) // 2


@dataclass(frozen=True)
class Exposed:
    """linear: float32 [H, W, 3], what reached the sensor, before noise; sharp: the reference, uint8, a frame of the
    clip; strength_pixels: how far things smear, 0 where `kind` is `sharp`; source_frame: the reference's number."""

    linear: np.ndarray
    sharp: np.ndarray
    kind: str
    strength_pixels: float
    source_frame: int


def plan_intervals(count: int, rng: np.random.Generator, settings: RebvidsSettings) -> tuple[Interval, ...]:
    """Cuts a clip of `count` frames into intervals and says which are to be blurred.

    Frames left over at the end are not used. Empty when the clip is shorter than the shortest interval.
    """
    shortest, longest = settings.interval_frames
    intervals: list[Interval] = []
    first = 0
    while count - first >= shortest:
        length = min(int(rng.integers(shortest, longest + 1)), count - first)
        if length % 2 == 0 and first + length == count:
            length -= 1
            if length < shortest:
                break
        halved = length % 2 == 0
        intervals.append(Interval(first, first + length - (not halved), halved))
        first += length
    share = float(rng.uniform(*settings.blurred_share))
    chosen = rng.permutation(len(intervals))[: int(len(intervals) * share + 1e-9)]
    run = AVERAGED, 0.0
    for number in sorted(chosen.tolist()):
        if number == 0 or intervals[number - 1].kind == SHARP:
            run = AVERAGED, 0.0
            if settings.share_defocused > 0.0 and rng.random() < settings.share_defocused:
                run = DEFOCUS, float(rng.random() ** 1.3)
        intervals[number] = replace(intervals[number], kind=run[0], disc_fraction=run[1])
    return tuple(intervals)


def expose_intervals(
    frames: Iterable[np.ndarray],
    intervals: Sequence[Interval],
    rng: np.random.Generator,
    settings: RebvidsSettings | None = None,
) -> Iterator[Exposed]:
    """One exposure an interval, from the frames of the clip in order, uint8 RGB [H, W, 3] of one size.

    What would not be seen stays sharp and says so: an interval that hardly moves, or one that a cut runs through.
    Raises ValueError when there are fewer frames than the intervals ask for.
    """
    settings = settings or RebvidsSettings()
    bright = settings.averaging == "linear" and rng.random() < settings.share_highlights
    gain = float(rng.uniform(*settings.highlight_gain)) if bright else 1.0
    for interval, stack in _stacks(frames, intervals):
        sharp = stack[interval.centre - interval.first]
        linear, kind, strength = _linear(sharp), SHARP, 0.0
        if interval.kind == DEFOCUS:
            kind, strength = DEFOCUS, _disc_diameter(sharp, interval, settings)
            linear = defocus(_with_highlights(linear, gain), strength / 2.0)
        elif interval.kind == AVERAGED:
            averaged = _averaged(stack, interval, gain, settings)
            if averaged is not None:
                kind, (linear, strength) = AVERAGED, averaged
        yield Exposed(linear, sharp, kind, strength, interval.centre)


def _stacks(frames: Iterable[np.ndarray], intervals: Sequence[Interval]) -> Iterator[tuple[Interval, list[np.ndarray]]]:
    """Each interval with its frames; two neighbours may share the frame between them."""
    coming = enumerate(frames)
    held: list[tuple[int, np.ndarray]] = []
    for interval in intervals:
        held = [each for each in held if each[0] >= interval.first]
        after = held[-1][0] + 1 if held else interval.first
        for number, frame in coming:
            if number >= after:
                held.append((number, frame))
            if number >= interval.last:
                break
        if len(held) != interval.last + 1 - interval.first:
            raise ValueError(f"expose_intervals: the clip ends before frame {interval.last}, which an interval needs")
        yield interval, [frame for _, frame in held]


def _averaged(
    stack: Sequence[np.ndarray], interval: Interval, gain: float, settings: RebvidsSettings
) -> tuple[np.ndarray, float] | None:
    """The exposure and its strength in pixels; None where nobody would see that it is one."""
    lumas = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in stack]
    small = [thumbnail(luma) for luma in lumas]
    if any(is_cut(*pair) for pair in pairwise(small)):
        return None
    motions = [motion_between(*pair) for pair in pairwise(lumas)]
    strength = blur_extent_pixels(motions)
    sharp = stack[interval.centre - interval.first]
    if strength < settings.least_blur_pixels * max(1.0, min(sharp.shape[:2]) / 720.0):
        return None
    if settings.averaging == "linear":
        light = (_with_highlights(_linear(frame), gain) for frame in stack)
        exposed = mean_over_time(light, motions, _MOST_STEPS, interval.halved)
        display = exposure.to_display(exposed)
    else:
        signal = (_display(frame) for frame in stack)
        display = mean_over_time(signal, motions, _MOST_STEPS, interval.halved)
        exposed = exposure.to_linear(display)
    changed = np.abs(display[::2, ::2, 1] - _display(sharp[::2, ::2, 1])) > _VISIBLE
    return (exposed, strength) if changed.mean() >= _LEAST_CHANGED_SHARE else None


def blur_extent_pixels(motions: Sequence[Motion]) -> float:
    """How far the fastest fiftieth of the frame travels while the motions pass: the larger side of its way."""
    place = np.zeros_like(motions[0].forward)
    least, most = place.copy(), place.copy()
    for motion in motions:
        place += motion.forward
        np.minimum(least, place, out=least)
        np.maximum(most, place, out=most)
    return float(np.percentile((most - least).max(axis=2), 98))


def _disc_diameter(frame: np.ndarray, interval: Interval, settings: RebvidsSettings) -> float:
    side = min(frame.shape[:2])
    least = settings.disc_pixels[0] * max(1.0, side / 720.0)
    most = max(settings.disc_pixels[1] * side / 540.0, 2.0 * least)
    return least + (most - least) * interval.disc_fraction


def _display(frame: np.ndarray) -> np.ndarray:
    return frame.astype(np.float32) / np.float32(255.0)


_LINEAR = exposure.to_linear(np.arange(256, dtype=np.float32) / 255.0)


def _linear(frame: np.ndarray) -> np.ndarray:
    return _LINEAR[frame]


def _with_highlights(light: np.ndarray, gain: float) -> np.ndarray:
    return exposure.expand_highlights(light, gain, knee=_CLIPPED) if gain > 1.0 else light
