"""Which frames of a stretch of video are motion-blurred: a small net on tile features and their place in time.

Runs on numpy alone, so a process that only classifies never loads torch (deblur_core/training/selector.py trains the
same net with it). Knows no file format but its own weights, and no pixels beyond deblur_core/blur_features.py.
"""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from deblur_core.blur_features import FEATURES, tile_features
from deblur_core.errors import WeightsError

ARCHITECTURE = "tile-context-mlp/1"

NEAR_FRAMES, AROUND_FRAMES = 3, 10
_CUT_LEAST, _CUT_RATIO, _CUT_NEIGHBOURS = 0.06, 5.0, 8
_CHUNK_FRAMES = 64

TILE_INPUTS = 5 * len(FEATURES) + 1
"""A tile's features, their differences to four references in time, and how much context there was (`in_context`)."""


LEAST_CONTRAST = 0.0
"""log2 of the RMS, in 8-bit grey levels, that a tile's luma must reach somewhere for its frame to be judged at all."""

SHARPNESS = 4.0
"""Of the soft maximum over tiles: 0 would be their mean, infinity the maximum alone."""


def cuts(features: np.ndarray) -> list[int]:
    """First frames of the shots of float32 [T, tiles, F], 0 first: where the picture changes far more than around."""
    means = features[..., FEATURES.index("mean")]
    change = np.abs(np.diff(means, axis=0)).mean(axis=1)
    starts = [0]
    for number in np.flatnonzero(change > _CUT_LEAST):
        around = change[max(number - _CUT_NEIGHBOURS, 0) : number + _CUT_NEIGHBOURS + 1]
        # The median of a very short stretch may be the cut itself; then only a large change counts.
        usual = float(np.median(around)) if len(around) > 4 else _CUT_LEAST / 2.0
        if change[number] > _CUT_RATIO * usual:
            starts.append(int(number) + 1)
    return starts


def in_context(features: np.ndarray) -> np.ndarray:
    """float32 [T, tiles, F] of one stretch → [T, tiles, 5 F + 1]: each feature, and how far it is from four references.

    The references, for the same tile and within the same shot: the maximum within ±3 and ±10 frames (how much is lost
    against the sharpest neighbour), the 80th percentile and the median of the shot. All differences of a single frame
    are zero; the last value, one over the frames of the shot, tells that from a shot without change.
    """
    starts = [*cuts(features), len(features)]
    shots = [_shot_in_context(features[a:b]) for a, b in itertools.pairwise(starts) if b > a]
    return np.concatenate(shots) if shots else np.zeros((0, features.shape[1], TILE_INPUTS), np.float32)


def _shot_in_context(shot: np.ndarray) -> np.ndarray:
    ordered = np.sort(shot, axis=0)
    usual = ordered[round(0.8 * (len(shot) - 1))], ordered[(len(shot) - 1) // 2]
    references = (_moving_max(shot, NEAR_FRAMES), _moving_max(shot, AROUND_FRAMES), usual[0], usual[1])
    context = np.full((*shot.shape[:2], 1), 1.0 / len(shot), np.float32)
    return np.concatenate([shot, *(shot - reference for reference in references), context], axis=2)


def _moving_max(shot: np.ndarray, reach: int) -> np.ndarray:
    padded = np.pad(shot, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).max(axis=-1)


class BlurSelector:
    """Blur probabilities of frames that belong together. `default_threshold` is where its errors were balanced."""

    def __init__(self, tensors: dict[str, np.ndarray], weights_sha256: str, name: str = "default") -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self.default_threshold = 0.5
        self._tensors = tensors

    @classmethod
    def load(cls, path: Path, name: str = "default") -> "BlurSelector":
        """Reads a safetensors file. Raises WeightsError when it is missing or is not of this architecture."""
        try:
            data = Path(path).read_bytes()
            tensors = {key: value.astype(np.float32) for key, value in load(data).items()}
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"selector weights {path} cannot be read: {error}; install the package again") from error
        expected = {"scale.mean", "scale.deviation"}
        expected |= {
            f"{layer}.{part}" for layer in ("tile1", "tile2", "frame1", "frame2") for part in ("weight", "bias")
        }
        if set(tensors) != expected or tensors["tile1.weight"].shape[1] != 2 * TILE_INPUTS:
            raise WeightsError(f"selector weights {path} belong to another architecture than {ARCHITECTURE}")
        return cls(tensors, hashlib.sha256(data).hexdigest(), name)

    def frame_features(self, luma: np.ndarray, bits: int | None = None) -> np.ndarray:
        """uint8 or uint16 [H, W] (`bits` of each sample used) → float32 [tiles, F], under 10 kB."""
        return tile_features(luma, bits)

    def probabilities(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """`frame_features` of consecutive frames of one size, [T, tiles, F] → float32 [T] in [0, 1].

        Context is everything that is given, up to the next cut; T may be 0 or 1. A frame in which nothing is to be seen
        (black, a fade, a plain card) is not blurred: 0. Raises ValueError for other shapes.
        """
        if not len(features):
            return np.zeros(0, np.float32)
        stretch = np.asarray(features, np.float32)
        if stretch.ndim != 3 or stretch.shape[2] != len(FEATURES):
            raise ValueError(f"probabilities: wants [T, tiles, {len(FEATURES)}], not {list(stretch.shape)}")
        inputs = in_context(stretch)
        parts = [self._logits(inputs[at : at + _CHUNK_FRAMES]) for at in range(0, len(inputs), _CHUNK_FRAMES)]
        blurred = (1.0 / (1.0 + np.exp(-np.clip(np.concatenate(parts), -60.0, 60.0)))).astype(np.float32)
        seen = stretch[..., FEATURES.index("contrast")].max(axis=1) > LEAST_CONTRAST
        return np.where(seen, blurred, np.float32(0.0))

    def blur_probability(self, frames: np.ndarray) -> np.ndarray:
        """RGB [T, H, W, 3], uint8 or full-scale uint16, one stretch of video → float32 [T] in [0, 1]; T may be 0."""
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"blur_probability: wants uint8 or uint16 [T, H, W, 3], not {frames.dtype} {frames.shape}")
        return self.probabilities([self.frame_features(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames])

    def _logits(self, inputs: np.ndarray) -> np.ndarray:
        """[T, tiles, TILE_INPUTS] → [T]: tiles see the frame's mean too; a soft maximum lets one region decide."""
        scaled = (inputs - self._tensors["scale.mean"]) / self._tensors["scale.deviation"]
        tile, frame = np.split(self._tensors["tile1.weight"], 2, axis=1)
        hidden = scaled @ tile.T + (scaled.mean(axis=1) @ frame.T + self._tensors["tile1.bias"])[:, None]
        tiles = self._layer("tile2", np.maximum(hidden, 0.0))
        peak = tiles.max(axis=1, keepdims=True)
        softest = peak[:, 0] + np.log(np.exp(SHARPNESS * (tiles - peak)).mean(axis=1)) / SHARPNESS
        pooled = np.concatenate([softest, tiles.mean(axis=1)], axis=1)
        return self._layer("frame2", np.maximum(self._layer("frame1", pooled), 0.0))[:, 0]

    def _layer(self, name: str, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]
