"""How things move while the shutter is open: camera shake as a path of small transforms, or as one kernel.

A path is float32 [N, 2], offsets in pixels (x, y) centred on its centroid. Knows nothing about light.
"""

import cv2
import numpy as np


def shake_path(rng: np.random.Generator, length_pixels: float, samples: int = 64) -> np.ndarray:
    """A smooth random path of the given extent: a direction that wanders, now and then a sudden turn.

    Returns float32 [samples, 2]; its larger side measures `length_pixels`, its centroid is (0, 0), so that
    blur smears the picture without moving it and the unmoved frame stays the truth.
    """
    heading = rng.uniform(0.0, 2.0 * np.pi)
    curvature = rng.normal(0.0, 0.03)
    turns = np.cumsum(rng.normal(0.0, 0.012, samples)) + curvature * np.arange(samples)
    if rng.random() < 0.15:
        turns[rng.integers(samples // 4, 3 * samples // 4) :] += rng.normal(0.0, 1.2)
    speed = np.clip(1.0 + 0.5 * np.cumsum(rng.normal(0.0, 0.15, samples)), 0.2, 3.0)
    steps = np.stack([np.cos(heading + turns), np.sin(heading + turns)], axis=1) * speed[:, None]
    path = np.cumsum(steps, axis=0)
    extent = max(float(np.ptp(path, axis=0).max()), 1e-6)
    path *= length_pixels / extent
    path -= path.mean(axis=0)
    return path.astype(np.float32)


def path_kernel(path: np.ndarray) -> np.ndarray:
    """The point spread function of a path: float32 [K, K], K odd, sums to 1, bilinear splatting."""
    radius = int(np.ceil(np.abs(path).max())) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    low = np.floor(path).astype(int)
    fraction = path - low
    for dx in (0, 1):
        for dy in (0, 1):
            weight_x = fraction[:, 0] if dx else 1.0 - fraction[:, 0]
            weight_y = fraction[:, 1] if dy else 1.0 - fraction[:, 1]
            np.add.at(kernel, (low[:, 1] + radius + dy, low[:, 0] + radius + dx), weight_x * weight_y)
    return kernel / kernel.sum()


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """True convolution (kernel flipped) of float32 [H, W, C] with mirrored borders."""
    return cv2.filter2D(image, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_REFLECT_101)


def shift(image: np.ndarray, offset: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Moves the content of float32 [H, W(, C)] by `offset` (x, y) pixels, mirrored borders."""
    matrix = np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]]], np.float32)
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, matrix, size, flags=interpolation, borderMode=cv2.BORDER_REFLECT_101)


def roll_and_shift(
    image: np.ndarray, offset: np.ndarray, angle_radians: float, centre: tuple[float, float]
) -> np.ndarray:
    """Camera roll about `centre` plus a shift: blur that differs over the frame. float32 [H, W, C] in and out."""
    cosine, sine = np.cos(angle_radians), np.sin(angle_radians)
    cx, cy = centre
    matrix = np.array(
        [
            [cosine, -sine, cx - cosine * cx + sine * cy + offset[0]],
            [sine, cosine, cy - sine * cx - cosine * cy + offset[1]],
        ],
        np.float32,
    )
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def path_samples(path: np.ndarray, per_pixel: float = 1.0, most: int = 33) -> np.ndarray:
    """Picks evenly spaced points of a path, about `per_pixel` for each pixel of its length, an odd number of them."""
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    count = int(np.clip(np.ceil(length * per_pixel), 3, most)) | 1
    return path[np.linspace(0, len(path) - 1, count).round().astype(int)]
