"""Optical flow: what moved is found, whatever was asked before, at any size."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from deblur_core.optical_flow import dense_flow, rough_flow, smooth_flow

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
FLOWS = pytest.mark.parametrize("flow", [dense_flow, rough_flow, smooth_flow])


def texture(height: int, width: int, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)


@FLOWS
def test_a_known_shift_is_found(flow: Flow) -> None:
    plane = texture(120, 160)
    found = flow(plane, np.roll(plane, (2, 3), (0, 1)))[20:-20, 20:-20]
    assert np.abs(np.median(found, axis=(0, 1)) - (3.0, 2.0)).max() < 0.3


@FLOWS
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (12, 100), (24, 80), (24, 100), (31, 47), (200, 24), (16, 2000)])
def test_planes_of_every_size_have_a_flow(flow: Flow, size: tuple[int, int]) -> None:
    # OpenCV's own engine crashes the process at 24 x 80.
    found = flow(texture(*size), texture(*size, seed=2))
    assert found.shape == (*size, 2)
    assert np.isfinite(found).all()


@FLOWS
def test_what_was_asked_before_does_not_matter(flow: Flow) -> None:
    first, second = texture(80, 120), cv2.GaussianBlur(np.roll(texture(80, 120), 5, 1), (0, 0), 3.0)
    alone = flow(first, second)
    for seed, size in enumerate([(160, 120), (60, 300), (81, 121), (120, 160)]):
        flow(texture(*size, seed=seed), texture(*size, seed=seed + 9))
        assert np.array_equal(flow(first, second), alone)
