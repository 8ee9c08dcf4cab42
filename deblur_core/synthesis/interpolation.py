"""Moments between the frames of a clip, so that an exposure of them smears what moves fast instead of ghosting it.

Motion is dense flow in both directions (DIS, Kroeger et al. 2016), carried to each moment; where two things claim one
place, the one that moves unlike most of the frame is in front. Knows nothing about labels, and cannot follow what is
both thin and much faster than its own width: that crossfades.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from deblur_core.optical_flow import dense_flow
from deblur_core.synthesis import exposure

_GRID_SIDE = 270
_LEAST_SIDE = 16
_TILE_PIXELS = 128
_SPACING_PIXELS = 2.0
_FILLS = (3, 9, 27)


@dataclass(frozen=True)
class Motion:
    """From one frame to the next: float32 [h, w, 2] (x, y), on a grid `scale` times coarser than the frame.

    Both in pixels of the full frame. forward: where the pixels of the first frame go; backward: those of the second.
    """

    forward: np.ndarray
    backward: np.ndarray
    scale: int


def motion_between(first: np.ndarray, second: np.ndarray) -> Motion:
    """Flow between two luma planes uint8 [H, W]; what is smaller than 16 pixels does not move."""
    height, width = first.shape
    shrink = max(1, round(min(height, width) / (2 * _GRID_SIDE)))
    size = (-(-width // shrink), -(-height // shrink))
    if min(size) < _LEAST_SIDE:
        still = np.zeros((-(-size[1] // 2), -(-size[0] // 2), 2), np.float32)
        return Motion(still, still, 2 * shrink)
    small = [cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if shrink > 1 else luma for luma in (first, second)]
    # The engine itself works at half the size that it is given; every other vector holds all that it knows.
    forward, backward = (
        np.ascontiguousarray(dense_flow(*pair)[::2, ::2]) * np.float32(shrink)
        for pair in ((small[0], small[1]), (small[1], small[0]))
    )
    return Motion(forward, backward, 2 * shrink)


def mean_over_time(
    frames: Iterable[np.ndarray],
    motions: Sequence[Motion] | None = None,
    most_steps: int = 16,
    halved_ends: bool = False,
) -> np.ndarray:
    """The mean of N linear frames float32 [H, W, 3] and, where things move, of moments evenly spaced between them.

    Each part of the picture gets as many moments as what moves there needs, 1 (the frames alone, so that what hardly
    moves is their plain mean) to `most_steps` a gap, a power of two. motions: the N − 1 between the frames, where they
    are known already; then the frames are read one by one. halved_ends: the first and the last frame count half.
    Raises ValueError without frames, or if frames and motions do not fit.
    """
    if motions is None:
        frames = list(frames)
        motions = [motion_between(*pair) for pair in pairwise(_luma(frame) for frame in frames)]
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise ValueError("mean_over_time: no frames")
    parts = _parts(first.shape[0], first.shape[1], motions, most_steps)
    finest = max(part.steps for part in parts)
    total = first * np.float32(0.5 if halved_ends else 1.0)
    for motion, second in zip(motions, coming, strict=True):
        gap = _Gap(motion)
        for step in range(1, finest):
            moment: _Moment | None = None
            for part in parts:
                if step % (finest // part.steps) == 0:
                    moment = moment or gap.moment(step / finest)
                    total[part.place] += moment.picture(first, second, part.place)
        total += second
        first = second
    if halved_ends:
        total -= first * np.float32(0.5)
    for part in parts:
        total[part.place] /= np.float32(part.steps * len(motions) + (not halved_ends))
    return total


@dataclass(frozen=True)
class _Part:
    """A tile of the picture and the moments that each gap gets there, the frame before it counted."""

    place: tuple[slice, slice]
    steps: int


def _parts(height: int, width: int, motions: Sequence[Motion], most_steps: int) -> list[_Part]:
    if not motions:
        return [_Part((slice(0, height), slice(0, width)), 1)]
    side = _TILE_PIXELS // motions[0].scale
    speed = np.max([np.maximum(_length(each.forward), _length(each.backward)) for each in motions], axis=0)
    rows, columns = (-(-length // side) for length in speed.shape)
    padded = np.zeros((rows * side, columns * side), np.float32)
    padded[: speed.shape[0], : speed.shape[1]] = cv2.blur(speed, (3, 3))
    tiles = padded.reshape(rows, side, columns, side).max(axis=(1, 3))
    # What is in one tile may come from its neighbours.
    reach = 2 * int(np.ceil(tiles.max() / _TILE_PIXELS)) + 1
    tiles = cv2.dilate(tiles, np.ones((reach, reach), np.uint8))
    steps = 2 ** np.ceil(np.log2(np.maximum(tiles / _SPACING_PIXELS, 1.0))).astype(int)
    top = 2 ** int(np.log2(most_steps))
    pixels = side * motions[0].scale
    return [
        _Part((slice(pixels * y, pixels * (y + 1)), slice(pixels * x, pixels * (x + 1))), min(int(steps[y, x]), top))
        for y in range(rows)
        for x in range(columns)
        if pixels * y < height and pixels * x < width
    ]


def _luma(linear: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(exposure.quantise(exposure.to_display(linear)), cv2.COLOR_RGB2GRAY)


@dataclass(frozen=True)
class _Moment:
    """time: in (0, 1) between two frames; on the grid of the motion, velocity: float32 [h, w, 2] of what is at each
    place then, in pixels of the frame; weight_of_second: float32 [h, w]."""

    time: float
    velocity: np.ndarray
    weight_of_second: np.ndarray
    scale: int

    def picture(self, first: np.ndarray, second: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
        """The picture float32 [H, W, 3] between two, cut out at `place`."""
        top, bottom, _ = place[0].indices(first.shape[0])
        left, right, _ = place[1].indices(first.shape[1])
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        on_grid = columns / np.float32(self.scale), rows / np.float32(self.scale)
        velocity = _look(self.velocity, *on_grid, border=cv2.BORDER_REPLICATE)
        weight = _look(self.weight_of_second, *on_grid, border=cv2.BORDER_REPLICATE)
        back, ahead = np.float32(self.time), np.float32(1.0 - self.time)
        early = _look(first, columns - velocity[..., 0] * back, rows - velocity[..., 1] * back)
        late = _look(second, columns + velocity[..., 0] * ahead, rows + velocity[..., 1] * ahead)
        late -= early
        late *= weight[..., None]
        early += late
        return early


class _Gap:
    """The time between two frames: what is where at each moment of it, on the grid of the motion."""

    def __init__(self, motion: Motion) -> None:
        height, width = motion.forward.shape[:2]
        self._scale = np.float32(motion.scale)
        self._forward, self._backward = motion.forward / self._scale, motion.backward / self._scale
        self._rows, self._columns = np.mgrid[0:height, 0:width].astype(np.float32)
        velocity = np.concatenate([self._forward.reshape(-1, 2), -self._backward.reshape(-1, 2)])
        self._usual = np.median(velocity, axis=0)
        unlike = _length(velocity - self._usual)
        there = _disagreement(self._forward, self._backward, self._rows, self._columns)
        back = _disagreement(self._backward, self._forward, self._rows, self._columns)
        # What the other direction denies is laid down first, so that anything certain covers it.
        unlike[np.concatenate([there.ravel(), back.ravel()]) > 1.0 + 0.1 * _length(velocity)] = -1.0
        self._order = np.argsort(unlike, kind="stable")
        self._velocity = velocity[self._order]

    def moment(self, time: float) -> _Moment:
        velocity = self._velocity_at(time)
        return _Moment(time, velocity * self._scale, self._weight_of_second(velocity, time), int(self._scale))

    def _velocity_at(self, time: float) -> np.ndarray:
        """float32 [h, w, 2]: the motion of what is at each place of the grid at `time`."""
        height, width = self._rows.shape
        count = height * width
        of_second = self._order >= count
        place = np.where(of_second, self._order - count, self._order)
        share = np.where(of_second, np.float32(time - 1.0), np.float32(time))
        x = np.rint(place % width + self._velocity[:, 0] * share).astype(np.int64)
        y = np.rint(place // width + self._velocity[:, 1] * share).astype(np.int64)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        target = y[inside] * width + x[inside]
        field = np.zeros((count, 2), np.float32)
        known = np.zeros(count, np.float32)
        field[target] = self._velocity[inside]  # of several at one place the last one stays: the foremost
        known[target] = 1.0
        return self._filled(field.reshape(height, width, 2), known.reshape(height, width))

    def _filled(self, field: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Gives places that nothing reached the mean motion around them."""
        missing = known == 0.0
        for size in _FILLS:
            if not missing.any():
                return field
            around = cv2.blur(field, (size, size))
            share = cv2.blur(known, (size, size))
            found = missing & (share > 1e-6)
            field[found] = around[found] / share[found][:, None]
            known[found] = 1.0
            missing &= ~found
        field[missing] = self._usual
        return field

    def _weight_of_second(self, velocity: np.ndarray, time: float) -> np.ndarray:
        """float32 [h, w]: how far to trust the second frame; one that shows another thing there is left out."""
        tolerance = 1.0 + 0.1 * _length(velocity)
        votes = []
        for flow, sign, share in ((self._forward, 1.0, -time), (self._backward, -1.0, 1.0 - time)):
            x = self._columns + velocity[..., 0] * np.float32(share)
            y = self._rows + velocity[..., 1] * np.float32(share)
            off = _length(_look(flow, x, y) * np.float32(sign) - velocity) / tolerance
            votes.append(np.exp(-off * off) + np.float32(1e-4))
        first, second = votes[0] * np.float32(1.0 - time), votes[1] * np.float32(time)
        return second / (first + second)


def _disagreement(flow: np.ndarray, back: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """float32 [h, w]: how far from its start a place comes out after there and back."""
    returned = _look(back, columns + flow[..., 0], rows + flow[..., 1])
    return _length(flow + returned)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1])


def _look(picture: np.ndarray, x: np.ndarray, y: np.ndarray, border: int = cv2.BORDER_REFLECT_101) -> np.ndarray:
    maps = (x.astype(np.float32, copy=False), y.astype(np.float32, copy=False))
    return cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=border)
