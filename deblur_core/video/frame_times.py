"""When each frame of a video is shown, in ticks. Knows no file, no packet and no picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """The frames of one video in presentation order. Arrays have one entry a frame and are not to be written."""

    pts: np.ndarray
    """int64 [N], strictly rising, in `time_base` units"""
    time_base: Fraction
    """seconds a tick"""
    last_duration: int
    """how long the last frame is shown, in `time_base` units"""

    @property
    def frame_count(self) -> int:
        return len(self.pts)

    @property
    def duration_seconds(self) -> float:
        """From the first frame to the end of the last."""
        return float(self.duration)

    @property
    def duration(self) -> Fraction:
        """From the first frame to the end of the last, in exact seconds."""
        return (int(self.pts[-1]) + self.last_duration - int(self.pts[0])) * self.time_base

    def time_seconds(self, frame: int) -> float:
        return float(int(self.pts[frame]) * self.time_base)

    def durations(self) -> np.ndarray:
        """int64 [N]: how long each frame is shown, in `time_base` units."""
        return np.append(np.diff(self.pts), self.last_duration)
