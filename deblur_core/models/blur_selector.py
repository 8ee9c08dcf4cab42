"""Which frames of a stretch of video are motion-blurred: a small net on tile features and their place in time.

A second one looks at what became blurred and takes back what is only out of focus (deblur_core/models/focus_cues.py).
Runs on numpy alone, so a process that only classifies never loads torch (deblur_core/training/selector.py and
selector_focus.py train the same nets with it). Knows no file format but its own weights, and no pixels beyond
deblur_core/blur_features.py.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from deblur_core.blur_features import FEATURES, tile_features
from deblur_core.errors import WeightsError
from deblur_core.models.focus_cues import CUES, focus_cues
from deblur_core.models.selector import Selector

ARCHITECTURE = "tile-context-mlp/2"

NEAR_FRAMES, AROUND_FRAMES = 3, 10
_CUT_LEAST, _CUT_RATIO, _CUT_NEIGHBOURS = 0.06, 5.0, 8
_CHUNK_FRAMES = 64

JUDGED = FEATURES.index("along_0_0")
"""So many of a tile's features, the first, say whether it is blurred; the others only in which direction."""

TILE_INPUTS = 5 * JUDGED + 1
"""A tile's features, their differences to four references in time, and how much context there was (`in_context`)."""


LEAST_CONTRAST = 0.0
"""log2 of the RMS, in 8-bit grey levels, that a tile's luma must reach somewhere for its frame to be judged at all."""

SHARPNESS = 4.0
"""Of the soft maximum over tiles: 0 would be their mean, infinity the maximum alone."""

LEAST_LOST = 0.05
"""log2 of slopes: where a frame lost less than this against its shot, nothing says whether motion or focus took it."""

_LAYERS = ("tile1", "tile2", "frame1", "frame2")
_FOCUS_LAYERS = ("focus1", "focus2", "focus3")


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
    """float32 [T, tiles, F] of one stretch → [T, tiles, TILE_INPUTS]: each judged feature, and how far it is from four
    references.

    The references, for the same tile and within the same shot: the maximum within ±3 and ±10 frames (how much is lost
    against the sharpest neighbour), the 80th percentile and the median of the shot. All differences of a single frame
    are zero; the last value, one over the frames of the shot, tells that from a shot without change.
    """
    shots = [_shot_in_context(shot[..., :JUDGED]) for shot in _shots(features)]
    return np.concatenate(shots) if shots else np.zeros((0, features.shape[1], TILE_INPUTS), np.float32)


def focus_context(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [T, tiles, F] of one stretch → `focus_cues` of its frames: float32 [T, CUES] and [T]."""
    found = [focus_cues(shot, _moving_max(shot, AROUND_FRAMES), _usual(shot)) for shot in _shots(features)]
    if not found:
        return np.zeros((0, CUES), np.float32), np.zeros(0, np.float32)
    return np.concatenate([cues for cues, _ in found]), np.concatenate([lost for _, lost in found])


def _shots(features: np.ndarray) -> Iterator[np.ndarray]:
    for start, stop in itertools.pairwise([*cuts(features), len(features)]):
        if stop > start:
            yield features[start:stop]


def _usual(shot: np.ndarray) -> np.ndarray:
    """The 80th percentile over the shot, [tiles, F]."""
    percentile: np.ndarray = np.sort(shot, axis=0)[round(0.8 * (len(shot) - 1))]
    return percentile


def _shot_in_context(shot: np.ndarray) -> np.ndarray:
    ordered = np.sort(shot, axis=0)
    usual, median = ordered[round(0.8 * (len(shot) - 1))], ordered[(len(shot) - 1) // 2]
    references = (_moving_max(shot, NEAR_FRAMES), _moving_max(shot, AROUND_FRAMES), usual, median)
    context = np.full((*shot.shape[:2], 1), 1.0 / len(shot), np.float32)
    return np.concatenate([shot, *(shot - reference for reference in references), context], axis=2)


def _moving_max(shot: np.ndarray, reach: int) -> np.ndarray:
    padded = np.pad(shot, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0).max(axis=-1)


class BlurSelector(Selector):
    """Blur probabilities of frames that belong together. `default_threshold` is where its errors were balanced."""

    # In stretches of 15 to 60 frames of six held-out clips, with strides of 5 to 30, it labelled 88 % of the measured
    # frames right when it saw these alone, 97 % with 10 spread over the stretch, 97.5 % with 20, and as many with all.
    context_frames = 20

    def __init__(self, tensors: dict[str, np.ndarray], weights_sha256: str, name: str = "default") -> None:
        super().__init__(name, weights_sha256)
        self._tensors = tensors

    @classmethod
    def load(cls, path: Path, name: str = "default", device: str = "auto") -> "BlurSelector":
        """Reads a safetensors file; runs on numpy whatever the device.

        Raises WeightsError when the file is missing or is not of this architecture.
        """
        try:
            data = Path(path).read_bytes()
            tensors = {key: value.astype(np.float32) for key, value in load(data).items()}
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"selector weights {path} cannot be read: {error}; install the package again") from error
        expected = {"scale.mean", "scale.deviation", "focus.mean", "focus.deviation"}
        expected |= {f"{layer}.{part}" for layer in (*_LAYERS, *_FOCUS_LAYERS) for part in ("weight", "bias")}
        fits = set(tensors) == expected and tensors["tile1.weight"].shape[1] == 2 * TILE_INPUTS
        if not fits or tensors["focus.mean"].shape != (CUES,):
            raise WeightsError(f"selector weights {path} belong to another architecture than {ARCHITECTURE}")
        return cls(tensors, hashlib.sha256(data).hexdigest(), name)

    def frame_features(self, luma: np.ndarray, bits: int | None = None) -> np.ndarray:
        """uint8 or uint16 [H, W] (`bits` of each sample used) → float32 [tiles, F], under 11 kB."""
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
        logits = np.minimum(np.concatenate(parts), self._motion_logits(stretch))
        blurred = (1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0)))).astype(np.float32)
        seen = stretch[..., FEATURES.index("contrast")].max(axis=1) > LEAST_CONTRAST
        return np.where(seen, blurred, np.float32(0.0))

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

    def _motion_logits(self, stretch: np.ndarray) -> np.ndarray:
        """[T, tiles, F] → [T]: below 0 where what was lost was lost to focus; infinite where too little was lost."""
        cues, lost = focus_context(stretch)
        values = (cues - self._tensors["focus.mean"]) / self._tensors["focus.deviation"]
        for layer in _FOCUS_LAYERS[:-1]:
            values = np.maximum(self._layer(layer, values), 0.0)
        return np.where(lost < LEAST_LOST, np.inf, self._layer(_FOCUS_LAYERS[-1], values)[:, 0])

    def _layer(self, name: str, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]
