"""What tells a frame that motion blurred from one that is out of focus: how its tiles lost their slopes, by direction.

Motion takes the slopes along its path and leaves those across, another path in the next frame; a lens out of focus
takes all directions alike, frame after frame. So losses against sharper frames of the shot are compared over four
directions and two scales, and with the frames beside. Knows no network and no threshold.
"""

import numpy as np

from deblur_core.blur_features import DIRECTIONS, FEATURES

_SCALES = (FEATURES.index("along_0_0"), FEATURES.index("along_1_0"))
_COMPARED = tuple(
    FEATURES.index(name)
    for name in (
        "strong_0", "weak_0", "strong_1", "weak_1", "strong_2", "weak_2", "laplacian_0", "laplacian_1", "laplacian_2",
        "steepness_0", "steepness_1", "peak_0", "peak_1",
    )
)  # fmt: skip
_STEEPNESS = tuple(FEATURES.index(name) for name in ("steepness_0", "steepness_1"))
_LEAST_LOSS, _MUCH_LOST = 0.15, 0.5  # log2
_FLAT, _TEXTURED = (
    1.0,
    2.0,
)  # log2 of grey levels: below the first nothing can be lost, from both on a tile counts fully

CUES = 92
"""Values that `focus_cues` gives for a frame."""


def focus_cues(shot: np.ndarray, around: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [T, tiles, F] of one shot → float32 [T, CUES], and float32 [T]: how much was lost at all, log2.

    around: the maximum of each feature within some frames, same shape; usual: of the whole shot, [tiles, F]. Where next
    to nothing was lost, the cues mean nothing.
    """
    cues: list[np.ndarray] = []
    directed: list[np.ndarray] = []
    seen = np.zeros(len(shot), np.float32)
    for reference in (around, np.broadcast_to(usual, shot.shape)):
        for start in _SCALES:
            place = slice(start, start + len(DIRECTIONS))
            loss = shot[..., place] - reference[..., place]
            textured = np.clip(reference[..., place].max(axis=2) - _FLAT, 0.0, _TEXTURED)
            weight = np.maximum(-loss.mean(axis=2) - _LEAST_LOSS, 0.0) * textured
            seen = np.maximum(seen, weight.sum(axis=1) / (textured.sum(axis=1) + 1e-3))
            weight = weight + np.float32(1e-4)
            by_direction = _mean(loss, weight)
            spread, least = loss.max(axis=2, keepdims=True) - loss.min(axis=2, keepdims=True), loss.max(axis=2)
            cues += [np.sort(by_direction, axis=1), _mean(spread, weight), _mean(least[..., None], weight)]
            textured = textured + np.float32(1e-3)
            much = (-loss.mean(axis=2, keepdims=True) > _MUCH_LOST).astype(np.float32)
            cues += [np.sort(_mean(loss, textured), axis=1), _mean(much, textured)]
            directed.append(by_direction)
        cues.append(_mean(shot[..., _COMPARED] - reference[..., _COMPARED], weight))
    for start in _SCALES:
        slopes = _mean(shot[..., start : start + len(DIRECTIONS)], weight)
        cues.append(np.sort(slopes - slopes.mean(axis=1, keepdims=True), axis=1))
    cues.append(_mean(shot[..., _STEEPNESS], weight))
    for by_direction in directed[:2]:
        cues += _changes(by_direction)
    return np.concatenate(cues, axis=1).astype(np.float32), seen.astype(np.float32)


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """[T, tiles, K] and [T, tiles] → [T, K]."""
    return np.einsum("ntk,nt->nk", values, weight) / weight.sum(axis=1, keepdims=True)


def _changes(by_direction: np.ndarray) -> list[np.ndarray]:
    """How far the losses differ from those of the frame before and of the one after: in direction, and altogether."""
    before = np.concatenate([by_direction[:1], by_direction[:-1]])
    after = np.concatenate([by_direction[1:], by_direction[-1:]])
    out = []
    for other in (before, after):
        change = by_direction - other
        overall = change.mean(axis=1, keepdims=True)
        out += [np.sort(np.abs(change - overall), axis=1)[:, 2:], np.abs(overall)]
    return out
