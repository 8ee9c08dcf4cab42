"""When the frames of a video are shown once every restored one has become several moments of its exposure.

Moments share the interval of the frame that they come from, evenly; all other frames keep theirs, so the video lasts as
long as before. It knows no picture, and not how moments are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.containers import tick_of
from deblur_core.video.frame_times import FrameTimes

_FINEST_TIME_SCALE = 2**31 - 1

Fact = TypeVar("Fact")


@dataclass(frozen=True, eq=False)
class SlowedFrames:
    """The frames of the result: their times, and for each the number of the source's frame that it is or shows a moment
    of (int64 [M], never falling)."""

    times: FrameTimes
    source_frame: np.ndarray

    @property
    def average_rate(self) -> Fraction:
        """Frames a second, in terms that every container holds."""
        return (self.times.frame_count / self.times.duration).limit_denominator(1001)

    def of_each(self, facts: Mapping[int, Fact]) -> dict[int, Fact]:
        """Facts by frame of the source → by frame of the result: each moment has those of its frame."""
        numbers = np.flatnonzero(np.isin(self.source_frame, list(facts)))
        return {int(number): facts[int(self.source_frame[number])] for number in numbers}


def slowed(source: FrameTimes, restored: np.ndarray, moments: int, muxer: str, name: str) -> SlowedFrames:
    """The frames of a result in which each of `restored` (bool, one a frame) has become `moments` frames.

    Exact wherever FFmpeg's `muxer` lets a stream choose its tick (MP4, MOV): the source's own, or one `moments` times
    as fine where its ticks cannot be divided. Elsewhere each time is the container's nearest. Raises DeclinedVideoError
    where two frames would come to be shown at once; ValueError if `restored` has not one entry a frame.
    """
    if restored.shape != source.pts.shape:
        raise ValueError(f"{name}: {source.frame_count} frames, but {restored.shape} say which are restored")
    counts = np.where(restored, moments, 1)
    source_frame = np.repeat(np.arange(source.frame_count), counts)
    place = np.arange(len(source_frame)) - np.repeat(np.cumsum(counts) - counts, counts)
    # In ticks of time_base / moments, all of it is whole numbers.
    fine = np.append(
        source.pts[source_frame] * moments + place * source.durations()[source_frame],
        (int(source.pts[-1]) + source.last_duration) * moments,
    )
    fine_base = source.time_base / moments
    tick = tick_of(muxer)
    if tick is None:
        divides = not (fine % moments).any() or fine_base.denominator > _FINEST_TIME_SCALE
        tick = source.time_base if divides else fine_base
    ticks = _nearest(fine, fine_base / tick)
    steps = np.diff(ticks)
    if (steps <= 0).any():
        frame = int(source_frame[np.argmax(steps <= 0)])
        seconds = float(source.durations()[frame] * source.time_base)
        raise DeclinedVideoError(
            f"{name}: frame {frame} is shown for {seconds:.4f} s, too short for {moments} moments in a {muxer} file, "
            f"which counts in {float(tick):.6f} s: put the video into MP4 first, or leave slow motion off"
        )
    return SlowedFrames(FrameTimes(ticks[:-1], tick, int(steps[-1])), source_frame)


def moment_number(frame: int, moment: int, moments: int) -> int:
    """The number under which the `moment`-th of `moments` of a frame is kept: rising with frame and moment."""
    return frame * moments + moment


def frame_of(number: int, moments: int) -> int:
    """The frame of a `moment_number`."""
    return number // moments


def _nearest(values: np.ndarray, scale: Fraction) -> np.ndarray:
    """int64 × scale, rounded to the nearest integer, exactly."""
    return (2 * values * scale.numerator + scale.denominator) // (2 * scale.denominator)
