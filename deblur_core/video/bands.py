"""A picture in bands of rows, so that its conversion needs little memory however large it is. It knows no samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deblur_core.video.chroma import ROWS_NEAR

_BAND_PIXELS = 1 << 16
_LEAST_STEPS = 4


@dataclass(frozen=True)
class Band:
    """Rows start … stop-1 of a picture, and the rows around them that chroma is interpolated from. step: luma rows for
    one of chroma; start is a multiple of it."""

    start: int
    stop: int
    height: int
    step: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def near(self) -> slice:
        """Rows of the picture."""
        reach = ROWS_NEAR * self.step
        return slice(max(self.start - reach, 0), min(self.stop + reach, self.height))

    @property
    def chroma(self) -> slice:
        """Rows of chroma."""
        return slice(self.near.start // self.step, -(-self.near.stop // self.step))

    @property
    def shown(self) -> slice:
        """`rows` within what `chroma` becomes."""
        return slice(self.start - self.near.start, self.stop - self.near.start)

    def of(self, near: np.ndarray, step: int) -> tuple[np.ndarray, slice]:
        """The band's own rows of what was made of `near`, and their place in the plane; step: luma rows for one."""
        first, last = self.start // step, -(-self.stop // step)
        before = self.near.start // step
        return near[first - before : last - before], slice(first, last)


def bands(height: int, width: int, step: int) -> Iterator[Band]:
    """The picture from top to bottom. step: luma rows for one of chroma."""
    rows = max(_BAND_PIXELS // width // step, _LEAST_STEPS) * step
    for start in range(0, height, rows):
        yield Band(start, min(start + rows, height), height, step)
