"""Small clips for selectors: a pan over a scene, and frames of it shaken or out of focus."""

import cv2
import numpy as np

from deblur_core.synthesis import motion


def scene(seed: int, height: int = 216, width: int = 288) -> np.ndarray:
    """Shapes with edges, letters and a little texture: uint8 [2 H, 2 W, 3]."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize((rng.random((6, 8, 3)) * 200).astype(np.uint8), (2 * width, 2 * height))
    for _ in range(220):
        x, y = int(rng.integers(2 * width)), int(rng.integers(2 * height))
        colour = tuple(float(value) for value in rng.integers(0, 255, 3))
        if rng.random() < 0.5:
            cv2.putText(picture, chr(int(rng.integers(65, 91))) * 2, (x, y), 0, rng.uniform(0.4, 1.2), colour, 2)
        else:
            cv2.rectangle(picture, (x, y), (x + int(rng.integers(5, 60)), y + int(rng.integers(5, 60))), colour, -1)
    noise = rng.normal(0, 5, picture.shape)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.5) + noise, 0, 255).astype(np.uint8)


def clip(frames: int = 24, seed: int = 1) -> np.ndarray:
    """A slow pan in whole pixels, uint8 [T, 216, 288, 3]; every frame equally sharp."""
    wide = scene(seed)
    return np.stack([wide[n : n + 216, 2 * n : 2 * n + 288] for n in range(frames)])


def shaken(frame: np.ndarray, pixels: float, seed: int) -> np.ndarray:
    """One frame as a shaken camera takes it, uint8 [H, W, 3]."""
    kernel = motion.path_kernel(motion.shake_path(np.random.default_rng(seed), pixels))
    return np.rint(motion.convolve(frame.astype(np.float32), kernel)).astype(np.uint8)
