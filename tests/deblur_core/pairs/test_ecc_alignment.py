"""Alignment by ECC: a shifted, darker picture scores like one that is not; what cannot be aligned is said to be so."""

import cv2
import numpy as np
import pytest

from deblur_core.metrics import psnr
from deblur_core.pairs.ecc_alignment import align_to_truth


def scene(shift: tuple[float, float] = (0.0, 0.0), turn_degrees: float = 0.0) -> np.ndarray:
    """A smooth picture of 96 × 72 pixels, seen from elsewhere."""
    rng = np.random.default_rng(4)
    wide = cv2.resize(rng.random((14, 18, 3)).astype(np.float32), (144, 112), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((72, 56), turn_degrees, 1.0)
    turn[:, 2] += shift
    seen = cv2.warpAffine(wide, turn, (144, 112), flags=cv2.INTER_CUBIC)[20:92, 24:120]
    return np.clip(200.0 * seen + 20.0, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(("shift", "turn"), [((2.5, -1.5), 0.0), ((-1.0, 2.0), 1.0)])
def test_a_picture_seen_from_elsewhere_is_brought_back(shift: tuple[float, float], turn: float) -> None:
    truth, picture = scene(), scene(shift, turn)
    aligned = align_to_truth(picture, truth)
    assert aligned is not None
    assert psnr(*aligned) > psnr(picture, truth) + 15.0


def test_only_what_the_warp_covers_is_left() -> None:
    aligned = align_to_truth(scene((4.0, 0.0)), scene())
    assert aligned is not None
    found, wanted = aligned
    assert found.shape == wanted.shape
    assert 88 <= found.shape[1] <= 93
    assert found.shape[0] >= 69


def test_brightness_is_matched_by_one_factor() -> None:
    truth = scene()
    aligned = align_to_truth((0.8 * truth).round().astype(np.uint8), truth)
    assert aligned is not None
    assert psnr(*aligned) > 45.0


def test_the_truth_itself_stays_as_it_is() -> None:
    aligned = align_to_truth(scene(), scene())
    assert aligned is not None
    assert psnr(*aligned) > 60.0


@pytest.mark.parametrize("level", [0, 90])
def test_a_flat_picture_cannot_be_aligned(level: int) -> None:
    assert align_to_truth(np.full((72, 96, 3), level, np.uint8), scene()) is None
