"""What counts as better than the blurred frame, without its truth."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deblur_core.verdict import VerdictLimits, judge, reblur

KERNEL = np.full((1, 11), 1 / 11)


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    """A luma plane of rectangles, uint8 [H, W]."""
    rng = np.random.default_rng(5)
    picture = np.full((192, 256), 110, np.uint8)
    for _ in range(160):
        x, y, w, h = (int(value) for value in rng.integers((256, 192, 50, 50)))
        cv2.rectangle(picture, (x, y), (x + w + 3, y + h + 3), float(rng.integers(20, 235)), -1)
    return picture


def noisy(picture: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(6).normal(0.0, level, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.filter2D(picture, -1, KERNEL, borderType=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("scale", [1, 257])
def test_a_frame_from_which_blur_was_taken_is_better(sharp: np.ndarray, scale: int) -> None:
    dtype = np.uint8 if scale == 1 else np.uint16
    verdict = judge(
        noisy(sharp, 2.0).astype(dtype) * dtype(scale), noisy(blurred(sharp), 2.0).astype(dtype) * dtype(scale)
    )
    assert verdict.accepted
    assert verdict.sharpness_after > 2.0 * verdict.sharpness_before
    assert verdict.reblur_error < 0.05
    assert verdict.unexplained < 0.2


def test_a_change_that_no_blur_explains_is_none_for_the_better(sharp: np.ndarray) -> None:
    """What a restorer does to a frame that was sharp already: a little more gradient, and nothing to take away."""
    recorded, changed = noisy(sharp, 1.0), noisy(sharp, 3.0)
    verdict = judge(changed, recorded)
    assert verdict.sharpness_after > verdict.sharpness_before
    assert verdict.reblur_error < 0.10
    assert not verdict.accepted
    assert judge(changed, recorded, VerdictLimits(unexplained=1.0)).accepted


def test_a_frame_that_is_softer_or_the_same_is_not_better(sharp: np.ndarray) -> None:
    assert not judge(blurred(sharp), sharp).accepted
    assert not judge(sharp, sharp).accepted


def test_another_picture_is_not_better_however_sharp_it_is(sharp: np.ndarray) -> None:
    verdict = judge(np.ascontiguousarray(sharp[::-1]), blurred(sharp))
    assert verdict.sharpness_after > verdict.sharpness_before
    assert verdict.reblur_error > 0.5
    assert not verdict.accepted
    assert not judge(sharp[::-1], blurred(sharp), replace(VerdictLimits(), unexplained=1.0)).accepted


def test_a_small_part_from_which_blur_was_taken_is_enough(sharp: np.ndarray) -> None:
    """The rest is as it was but for what any network changes everywhere."""
    recorded = noisy(sharp, 0.5)
    recorded[:128, :128] = blurred(sharp)[:128, :128]
    assert judge(noisy(sharp, 0.7), recorded).accepted


def test_of_a_very_small_frame_only_its_sharpness_counts() -> None:
    small = np.random.default_rng(7).integers(0, 255, (24, 200)).astype(np.uint8)
    assert reblur(small, blurred(small)) == (0.0, 0.0)
    assert judge(small, blurred(small)).accepted
    assert reblur(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)) == (0.0, 0.0)
