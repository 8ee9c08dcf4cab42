"""What every selector gives: blur probabilities of frames that belong together. Knows no network and no weights."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import cv2
import numpy as np


class Selector(ABC):
    """Frames are measured one by one (`frame_features`), then judged together (`probabilities`).

    name: as the registry has it; weights_sha256: hex; default_threshold: where a frame counts as blurred.
    """

    context_frames: int = 1
    """How many frames of a stretch it has to see to judge any of them well, where there are so many."""

    def __init__(self, name: str, weights_sha256: str) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self.default_threshold = 0.5

    @abstractmethod
    def frame_features(self, luma: np.ndarray, bits: int | None = None) -> np.ndarray:
        """uint8 or uint16 [H, W] of any size (`bits` of each sample used: all unless given) → float32 [N, F], small.

        Raises ValueError for other shapes or types.
        """

    @abstractmethod
    def probabilities(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """`frame_features` of consecutive frames of one size, [T, N, F] → float32 [T] in [0, 1]; T may be 0.

        A frame in which nothing is to be seen is not blurred: 0. Raises ValueError for other shapes.
        """

    def blur_probability(self, frames: np.ndarray) -> np.ndarray:
        """RGB [T, H, W, 3], uint8 or full-scale uint16, one stretch of video → float32 [T] in [0, 1]; T may be 0.

        Raises ValueError for other shapes or types."""
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"blur_probability: wants uint8 or uint16 [T, H, W, 3], not {frames.dtype} {frames.shape}")
        return self.probabilities([self.frame_features(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames])
