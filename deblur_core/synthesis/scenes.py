"""One place of a sharp clip or photograph at several times: what a sample is made of before any blur.

Frames are uint8 RGB [H, W, 3]. Knows nothing about blur, noise or networks.
"""

from collections.abc import Sequence

import cv2
import numpy as np


def cut_scene(
    frames: Sequence[np.ndarray], size: int, offsets: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """The same place, [size, size, 3], at each of the offsets (in frames, ascending, around 0) of a random moment.

    A photograph (one frame) is seen by a camera that drifts; in a clip, times beyond its ends are its first or last
    frame. A photograph smaller than the place is cut as a clip that stands still.
    """
    if len(frames) == 1 and min(frames[0].shape[:2]) > size:
        return _drift(frames[0], size, offsets, rng)
    return _cut_clip(frames, size, offsets, rng)


def _cut_clip(
    frames: Sequence[np.ndarray], size: int, offsets: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    before, after = max(-min(offsets), 0), max(max(offsets), 0)
    before, after = min(before, (len(frames) - 1) // 2), min(after, (len(frames) - 1) // 2)
    middle = int(rng.integers(before, len(frames) - after))
    height, width = frames[0].shape[:2]
    y = int(rng.integers(0, max(height - size, 0) + 1))
    x = int(rng.integers(0, max(width - size, 0) + 1))
    picks = [min(max(middle + offset, 0), len(frames) - 1) for offset in offsets]
    return [_fill(frames[pick][y : y + size, x : x + size], size) for pick in picks]


def _fill(cut: np.ndarray, size: int) -> np.ndarray:
    """Enlarges by mirroring what is smaller than the place: small archive formats are learnt from too."""
    height, width = cut.shape[:2]
    if (height, width) == (size, size):
        return np.asarray(cut)
    return cv2.copyMakeBorder(cut, 0, size - height, 0, size - width, cv2.BORDER_REFLECT_101)


def _drift(photo: np.ndarray, size: int, offsets: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Cuts that are each a little shifted, rolled and scaled; the one at offset 0 is the photograph itself."""
    height, width = photo.shape[:2]
    velocity = rng.normal(0.0, 5.0, 2)
    centre = np.array([rng.uniform(size / 2, width - size / 2), rng.uniform(size / 2, height - size / 2)])
    roll, zoom = rng.normal(0.0, 0.004), rng.normal(0.0, 0.003)
    cuts = []
    for offset in offsets:
        scale = 1.0 + zoom * offset
        cosine, sine = np.cos(roll * offset) * scale, np.sin(roll * offset) * scale
        matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
        matrix[:, 2] = centre + velocity * offset - matrix[:, :2] @ np.array([size / 2, size / 2])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP if offset else cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if not offset:
            matrix = np.rint(matrix)
        cuts.append(cv2.warpAffine(photo, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101))
    return cuts
