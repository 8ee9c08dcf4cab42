"""What an adaptation sees of a video: consecutive frames of one shot, and which of them a selector calls blurred.

Knows neither files nor networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deblur_core.models.restorer import ContextNeeds, FrameWindow, choose_context


@dataclass(frozen=True)
class Footage:
    """frames: uint8 RGB [H, W, 3] each, of one size, consecutive and of one shot; blurred: bool [T].

    whole_side: shorter side of the frames that these are parts of, pixels; 0 where they are whole. Raises ValueError
    when frames and labels do not match.
    """

    name: str
    frames: Sequence[np.ndarray]
    blurred: np.ndarray
    whole_side: int = 0

    def __post_init__(self) -> None:
        if self.blurred.shape != (len(self.frames),) or self.blurred.dtype != bool:
            raise ValueError(f"{self.name}: {len(self.frames)} frames but labels of {self.blurred.shape}")
        if any(frame.shape != self.frames[0].shape or frame.dtype != np.uint8 for frame in self.frames):
            raise ValueError(f"{self.name}: frames must be uint8 and of one size")

    @property
    def shorter_side(self) -> int:
        """Pixels."""
        return min(self.frames[0].shape[:2])

    def window(self, target: int, needs: ContextNeeds, place: tuple[int, int], size: int) -> FrameWindow:
        """What a restorer with these needs sees of one place, [size, size], of a frame; (y, x) is its upper left."""
        plan = choose_context(target, self.blurred, needs)
        return FrameWindow(
            self.cut(target, place, size),
            {offset: self.cut(number, place, size) for offset, number in plan.neighbours.items()},
            [self.cut(number, place, size) for number in plan.references],
        )

    def random_place(self, size: int, rng: np.random.Generator) -> tuple[int, int]:
        """(y, x) of the upper left of some [size, size] of a frame; (0, 0) where it is smaller than that."""
        height, width = self.frames[0].shape[:2]
        return int(rng.integers(0, max(height - size, 0) + 1)), int(rng.integers(0, max(width - size, 0) + 1))

    def cut(self, number: int, place: tuple[int, int], size: int) -> np.ndarray:
        """A part of a frame, as by `cut_square`."""
        return cut_square(self.frames[number], place, size)


def cut_square(frame: np.ndarray, place: tuple[int, int], size: int) -> np.ndarray:
    """uint8 [H, W, 3] → [size, size, 3] from (y, x) on; what lies beyond the right and the lower border is mirrored."""
    y, x = place
    cut = frame[y : y + size, x : x + size]
    if cut.shape[:2] != (size, size):
        border = (0, size - cut.shape[0], 0, size - cut.shape[1])
        cut = cv2.copyMakeBorder(cut, *border, cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(cut)
