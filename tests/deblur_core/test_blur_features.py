"""Tile features of the luma plane: what blur does to them, and every odd frame that video brings."""

import cv2
import numpy as np
import pytest

from deblur_core.blur_features import FEATURES, tile_features, tile_grid


def texture(height: int = 240, width: int = 320) -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = cv2.resize(rng.random((height // 8 + 1, width // 8 + 1)).astype(np.float32), (width, height))
    return ((0.6 * coarse + 0.4 * rng.random((height, width))) * 230.0).astype(np.uint8)


def feature(luma: np.ndarray, name: str) -> np.ndarray:
    return tile_features(luma)[:, FEATURES.index(name)]


def test_blur_along_one_direction_lowers_the_weak_eigenvalue_more_than_the_strong_one() -> None:
    sharp, smeared = texture(), cv2.blur(texture(), (11, 1))
    weak = feature(sharp, "weak_0") - feature(smeared, "weak_0")
    strong = feature(sharp, "strong_0") - feature(smeared, "strong_0")
    assert (weak > strong + 0.2).all()


def test_blur_takes_the_fine_scale_before_the_coarse_one() -> None:
    sharp, smeared = texture(), cv2.GaussianBlur(texture(), (0, 0), 1.5)
    fine = feature(sharp, "laplacian_0") - feature(smeared, "laplacian_0")
    coarse = feature(sharp, "laplacian_2") - feature(smeared, "laplacian_2")
    assert (fine > coarse + 1.0).all()


def test_only_the_tiles_that_are_blurred_change() -> None:
    sharp = texture()
    partly = sharp.copy()
    partly[:, :80] = cv2.blur(sharp, (9, 9))[:, :80]
    change = (feature(sharp, "laplacian_0") - feature(partly, "laplacian_0")).reshape(tile_grid(240, 320))
    assert change[:, 0].min() > 1.0
    assert np.abs(change[:, -1]).max() < 1e-3


@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (17, 301), (301, 17), (480, 853), (1081, 1921), (100, 2000)])
def test_any_size_gives_finite_features_of_its_grid(shape: tuple[int, int]) -> None:
    features = tile_features(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))
    assert features.dtype == np.float32 and features.shape[1] == len(FEATURES)
    assert np.isfinite(features).all()


def test_flat_frames_and_letterbox_bars_stay_finite() -> None:
    barred = texture()
    barred[:48] = barred[-48:] = 16
    for luma in (np.zeros((120, 160), np.uint8), np.full((120, 160), 255, np.uint8), barred):
        assert np.isfinite(tile_features(luma)).all()


@pytest.mark.parametrize(("bits", "factor"), [(10, 4), (16, 256), (12, 16)])
def test_deeper_luma_measures_the_same_as_8_bits(bits: int, factor: int) -> None:
    luma = texture()
    assert np.allclose(tile_features(luma.astype(np.uint16) * factor, bits), tile_features(luma), atol=1e-3)


def test_a_720p_frame_costs_less_than_11_kilobytes() -> None:
    assert tile_features(np.zeros((720, 1280), np.uint8)).nbytes < 11_000


def test_what_is_not_luma_is_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        tile_features(np.zeros((4, 4), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        tile_features(np.zeros((4, 4, 3), np.uint8))
