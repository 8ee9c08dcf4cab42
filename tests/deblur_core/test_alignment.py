"""Sharp frames brought onto a blurred one: by how much it helps, at its border, with a guide, and on tiny frames."""

import cv2
import numpy as np
import pytest

from deblur_core.alignment import align


def picture(height: int = 180, width: int = 240, seed: int = 4) -> np.ndarray:
    """uint8 RGB [height, width, 3]: detail of all sizes."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width, 3), np.float32)
    for cell, weight in ((2, 0.15), (4, 0.25), (10, 0.3), (30, 0.3)):
        coarse = rng.uniform(0.0, 255.0, (height // cell + 1, width // cell + 1, 3)).astype(np.float32)
        out += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return out.clip(0, 255).astype(np.uint8)


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """What the camera sees after a pan: image(p) is at p + (x, y)."""
    shift = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return cv2.warpAffine(image, shift, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def gap(image: np.ndarray, other: np.ndarray) -> float:
    """Mean difference inside, grey levels."""
    inner = np.s_[24:-24, 24:-24]
    return float(np.abs(image[inner].astype(float) - other[inner]).mean())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_sharp_frame_is_brought_onto_a_blurred_one(dtype: type) -> None:
    scale = 257 if dtype is np.uint16 else 1
    truth = picture().astype(dtype) * dtype(scale)
    blurred = cv2.blur(truth, (9, 1))
    reference = moved(truth, 5.0, -3.0)
    [(warped, valid)] = align([reference], blurred)
    assert warped.dtype == dtype and warped.shape == truth.shape
    assert valid.dtype == bool and valid.shape == truth.shape[:2]
    assert gap(warped, truth) < 0.35 * gap(reference, truth)


def test_a_guide_brings_it_nearer_than_the_blurred_frame_does() -> None:
    truth = picture()
    blurred = cv2.blur(truth, (15, 3))
    reference = moved(truth, 4.3, -2.6)
    [(by_blurred, _)] = align([reference], blurred)
    [(by_guide, _)] = align([reference], blurred, truth)
    assert gap(by_guide, truth) < 0.8 * gap(by_blurred, truth)


def test_every_reference_is_aligned_as_if_it_were_alone() -> None:
    truth = picture()
    references = [moved(truth, 3.0, 1.0), moved(truth, -6.0, 2.0)]
    both = align(references, truth)
    for reference, (warped, valid) in zip(references, both, strict=True):
        [(alone, alone_valid)] = align([reference], truth)
        assert np.array_equal(warped, alone) and np.array_equal(valid, alone_valid)
    assert align([], truth) == []


def test_where_the_reference_ends_the_target_shows() -> None:
    target = picture()
    [(warped, valid)] = align([moved(target, 20.0, 0.0)], target)
    assert not valid[24:-24, -8:].any()
    assert valid[24:-24, 24:-28].all()
    assert np.array_equal(warped[~valid], target[~valid])


def test_frames_too_small_for_flow_come_back_as_they_are() -> None:
    reference, target = picture(24, 40, seed=1), picture(24, 40, seed=2)
    [(warped, valid)] = align([reference], target)
    assert np.array_equal(warped, reference) and valid.all()
