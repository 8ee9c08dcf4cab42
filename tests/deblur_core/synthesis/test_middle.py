"""A mean of frames is blur with a known truth only where the camera went on evenly."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from deblur_core.synthesis.middle import is_centred, off_centre
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip

EVEN = (0, 4, 8, 12, 16)
JUMPING = (0, 4, 14, 12, 16)  # the middle lies 4.8 px from the mean of all


def seen_from(places: tuple[int, ...]) -> list[np.ndarray]:
    """A textured wall from so many pixels to the right, uint8 RGB [H, W, 3] each."""
    rng = np.random.default_rng(3)
    wall = cv2.resize(rng.random((40, 80, 3)).astype(np.float32), (480, 240), interpolation=cv2.INTER_CUBIC)
    pixels = (np.clip(wall, 0.0, 1.0) * 220.0).astype(np.uint8)
    return [np.ascontiguousarray(pixels[:200, 40 + place : 300 + place]) for place in places]


def test_how_far_the_middle_lies_from_the_mean_is_measured_in_pixels() -> None:
    assert off_centre(seen_from(EVEN)) < 0.2
    assert off_centre(seen_from(JUMPING)) == pytest.approx(4.8, abs=0.4)
    assert off_centre(seen_from((5,))) == 0.0


def test_more_may_be_off_where_there_is_more_blur() -> None:
    nearly = seen_from((0, 4, 9, 12, 16))  # 0.8 px off
    assert not is_centred(nearly, 8.0) and is_centred(nearly, 24.0)
    assert is_centred(seen_from(EVEN), 8.0) and not is_centred(seen_from(JUMPING), 24.0)


def test_a_camera_that_jumps_is_shaken_on_purpose_instead_of_averaged() -> None:
    settings = PartlyBlurredSettings(share_with_object=0.0, kind_weights=(0, 0, 1, 0))
    even, jumping = tuple(range(0, 72, 3)), tuple(3 * n + (5 if n % 2 else 0) for n in range(24))
    assert max(abs(b - a) for a, b in pairwise(jumping)) == 8
    assert set(blur_clip(seen_from(even), np.random.default_rng(2), settings).kinds) == {"sharp", "averaged"}
    assert set(blur_clip(seen_from(jumping), np.random.default_rng(2), settings).kinds) == {"sharp", "shake"}
