"""What tells sharp from blurred, measured on the luma plane in tiles: gradients at three scales, edges, curvature.

Motion blur takes the fine scales before the coarse ones and one direction before the other, so each tile gives the two
eigenvalues of its structure tensor at three scales (a box-averaged pyramid: the coarser levels are the reblurred
frame), the energy of the Laplacian, and how steep edges are for their height. Knows no threshold, no network and no
other frame: what is blurred is decided by whoever compares frames (deblur_core/models/blur_selector.py).
"""

import functools

import cv2
import numpy as np

FEATURES = (
    "mean", "contrast",
    "strong_0", "weak_0", "strong_1", "weak_1", "strong_2", "weak_2",
    "laplacian_0", "laplacian_1", "laplacian_2",
    "steepness_0", "steepness_1", "peak_0", "peak_1",
    "along_0_0", "along_0_45", "along_0_90", "along_0_135", "along_1_0", "along_1_45", "along_1_90", "along_1_135",
)  # fmt: skip
"""mean: [0, 1]; contrast, eigenvalues, Laplacian, peaks and slopes along a direction (along_LEVEL_DEGREES): log2 of
8-bit grey levels (RMS); steepness: [0, 1]."""

DIRECTIONS = (0, 45, 90, 135)
"""Degrees: motion takes what lies along it and leaves what lies across; a lens out of focus takes all alike."""

SHORTER_SIDE_MEASURED = 720
"""Larger frames are reduced until their shorter side is this many pixels: finer blur than that cannot be seen."""

_LEVELS = 3
_DIRECTED_LEVELS = 2
_FLOOR = 0.25
_TILES_ACROSS = 8
_LEAST_TILE = 24
_BLOCK = 8


def tile_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tiles for a frame: about eight along the shorter side, tiles nearly square, 24 px or more."""
    side = max(min(height, width) / _TILES_ACROSS, _LEAST_TILE)
    return max(int(height / side), 1), max(int(width / side), 1)


def tile_features(luma: np.ndarray, bits: int | None = None) -> np.ndarray:
    """uint8 or uint16 [H, W] → float32 [tiles, len(FEATURES)], tiles in reading order, every value finite.

    `bits`: how many bits of a sample are used (10 for the luma of a 10-bit video); the whole type unless given. Any
    size works; sides under 16 px are repeated to 16. Raises ValueError for other shapes or types.
    """
    if luma.ndim != 2 or luma.dtype not in (np.uint8, np.uint16) or luma.size == 0:
        raise ValueError(f"tile_features: wants uint8 or uint16 [H, W], not {luma.dtype} {luma.shape}")
    rows, columns = tile_grid(*_measured_size(*luma.shape))
    level = _prepare(luma, bits or luma.dtype.itemsize * 8)
    values: dict[str, np.ndarray] = {}
    for number in range(_LEVELS):
        _measure_level(level, number, rows, columns, values)
        if number + 1 < _LEVELS:
            level = cv2.resize(level, (level.shape[1] // 2, level.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return np.stack([values[name].ravel() for name in FEATURES], axis=1).astype(np.float32)


def _measured_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, SHORTER_SIDE_MEASURED / min(height, width))
    return max(round(height * scale), 16), max(round(width * scale), 16)


def _prepare(luma: np.ndarray, bits: int) -> np.ndarray:
    """float32 in 8-bit grey levels, at most 720 px high or wide on the shorter side, 16 px or more on both."""
    height, width = _measured_size(*luma.shape)
    if height < luma.shape[0]:
        luma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    elif (height, width) != luma.shape:
        luma = cv2.copyMakeBorder(luma, 0, height - luma.shape[0], 0, width - luma.shape[1], cv2.BORDER_REPLICATE)
    plane = luma.astype(np.float32)
    if bits != 8:
        plane *= np.float32(1.0 / (1 << (bits - 8)))
    return plane


def _measure_level(plane: np.ndarray, number: int, rows: int, columns: int, values: dict[str, np.ndarray]) -> None:
    """Adds the features of one pyramid level, each [rows, columns]."""

    def mean(image: np.ndarray) -> np.ndarray:
        return _tile_means(image, rows, columns)

    dx = plane[:-1, 1:] - plane[:-1, :-1]
    dy = plane[1:, :-1] - plane[:-1, :-1]
    xx, yy, xy = mean(dx * dx), mean(dy * dy), mean(dx * dy)
    middle, spread = (xx + yy) / 2.0, np.sqrt(((xx - yy) / 2.0) ** 2 + xy * xy)
    values[f"strong_{number}"] = _log_rms(middle + spread)
    values[f"weak_{number}"] = _log_rms(np.maximum(middle - spread, 0.0))
    if number < _DIRECTED_LEVELS:
        for degrees in DIRECTIONS:
            cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
            along = cosine * cosine * xx + sine * sine * yy + 2.0 * cosine * sine * xy
            values[f"along_{number}_{degrees}"] = _log_rms(np.maximum(along, 0.0))
    laplacian = cv2.Laplacian(plane, cv2.CV_32F, ksize=1)
    values[f"laplacian_{number}"] = _log_rms(mean(laplacian * laplacian))
    if number < 2:
        _measure_edges(plane, dx, dy, number, rows, columns, values)
    else:
        average = mean(plane)
        values["mean"] = average / np.float32(255.0)
        values["contrast"] = _log_rms(np.maximum(mean(plane * plane) - average * average, 0.0))


def _measure_edges(
    plane: np.ndarray, dx: np.ndarray, dy: np.ndarray, number: int, rows: int, columns: int,
    values: dict[str, np.ndarray],
) -> None:  # fmt: skip
    """How steep the strongest edge of each 8 × 8 block is, alone (peak) and for the block's range (steepness)."""
    slope = np.maximum(_block_max(np.abs(dx)), _block_max(np.abs(dy)))
    height = _block_max(plane[:-1, :-1]) + _block_max(-plane[:-1, :-1])
    weight = height * height + np.float32(1e-3)
    total = _tile_means(weight, rows, columns)
    values[f"steepness_{number}"] = _tile_means(slope / (height + np.float32(4.0)) * weight, rows, columns) / total
    values[f"peak_{number}"] = _log_rms(_tile_means(slope * slope, rows, columns))


def _block_max(image: np.ndarray) -> np.ndarray:
    """Maximum over blocks of 8 × 8; what is left over at the right and the bottom is dropped."""
    height, width = image.shape[0] // _BLOCK * _BLOCK, image.shape[1] // _BLOCK * _BLOCK
    if not height or not width:
        return image.max(keepdims=True)
    rows = image[:height].reshape(height // _BLOCK, _BLOCK, -1).max(axis=1)[:, :width]
    return np.maximum.reduce([rows[:, start::_BLOCK] for start in range(_BLOCK)])


def _log_rms(mean_square: np.ndarray) -> np.ndarray:
    return np.float32(0.5) * np.log2(mean_square + np.float32(_FLOOR * _FLOOR))


def _tile_means(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mean over each tile [rows, columns]; two matrix products, because tiles need not measure whole pixels."""
    return _averaging(rows, image.shape[0]) @ image @ _averaging(columns, image.shape[1]).T


@functools.lru_cache(maxsize=64)
def _averaging(tiles: int, length: int) -> np.ndarray:
    """float32 [tiles, length]: row t averages the pixels of tile t, border pixels by the part that lies in it."""
    edges = np.linspace(0.0, length, tiles + 1)
    pixels = np.arange(length)
    covered = np.minimum(edges[1:, None], pixels + 1.0) - np.maximum(edges[:-1, None], pixels)
    covered = np.clip(covered, 0.0, None)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
