"""Exposures between frames: what moves fast smears evenly, what stands still is the plain mean."""

import cv2
import numpy as np
import pytest

from deblur_core.synthesis import exposure
from deblur_core.synthesis.interpolation import mean_over_time, motion_between

HEIGHT, WIDTH, BAR, STEP = 160, 240, 10, 14


def bar_at(time: float, background: np.ndarray) -> np.ndarray:
    """A bright bar, 10 pixels wide, that moves 14 pixels a frame: neighbouring frames do not overlap."""
    x = np.arange(WIDTH)
    left = 50.0 + STEP * time
    covered = np.clip(np.minimum(x + 1, left + BAR) - np.maximum(x, left), 0.0, 1.0).astype(np.float32)
    mask = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    mask[20:140] = covered[None, :, None]
    return background * (1.0 - mask) + np.float32(0.9) * mask


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    noise = np.random.default_rng(1).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return np.clip(0.3 + 1.5 * (soft - soft.mean()), 0.02, 0.8).astype(np.float32)


def test_a_fast_bar_smears_to_a_plateau_and_leaves_no_ghosts() -> None:
    dark = np.full((HEIGHT, WIDTH, 3), 0.05, np.float32)
    frames = [bar_at(number, dark) for number in range(7)]
    middle = slice(50 + BAR + 4, 50 + 6 * STEP - 4)
    ghosts = exposure.expose(frames)[60:100, middle].mean(axis=(0, 2))
    plateau = mean_over_time(frames)[60:100, middle].mean(axis=(0, 2))
    assert np.ptp(ghosts) > 0.1
    assert np.ptp(plateau) < 0.02
    even_share = BAR / (6 * STEP + BAR)
    assert plateau.mean() == pytest.approx(0.05 + 0.85 * even_share, rel=0.2)


def test_what_the_bar_passes_over_comes_near_the_true_exposure(texture: np.ndarray) -> None:
    frames = [bar_at(number, texture) for number in range(7)]
    truth = exposure.expose(bar_at(time, texture) for time in np.linspace(0.0, 6.0, 6 * 16 + 1))
    direct = np.square(exposure.expose(frames) - truth).mean()
    assert np.square(mean_over_time(frames) - truth).mean() < direct / 3.0


def test_a_fast_pan_comes_near_the_true_exposure_across_the_whole_frame() -> None:
    noise = np.random.default_rng(2).random((300, 420, 3)).astype(np.float32)
    wide = cv2.GaussianBlur(noise, (0, 0), 2.0)
    frames = [np.ascontiguousarray(wide[:, 9 * number : 9 * number + 300]) for number in range(4)]
    truth = exposure.expose([wide[:, shift : shift + 300] for shift in range(28)])
    error = np.abs(mean_over_time(frames) - truth)[10:-10, 30:-30]
    assert error.max() < 0.3 * np.abs(exposure.expose(frames) - truth)[10:-10, 30:-30].max()


def test_frames_that_hardly_move_are_their_plain_mean(texture: np.ndarray) -> None:
    frames = [texture + np.float32(level) for level in (0.0, 0.01, 0.02, 0.03)]
    assert np.allclose(mean_over_time(frames), exposure.expose(frames), atol=1e-6)


def test_halved_ends_count_half(texture: np.ndarray) -> None:
    frames = [texture * np.float32(level) for level in (1.0, 0.98, 0.96)]
    assert np.allclose(mean_over_time(frames, halved_ends=True), texture * 0.98, atol=1e-6)


def test_one_frame_is_its_own_mean_and_none_is_refused(texture: np.ndarray) -> None:
    assert np.array_equal(mean_over_time([texture]), texture)
    with pytest.raises(ValueError, match="no frames"):
        mean_over_time([])


def test_motion_is_known_in_pixels_of_the_full_frame() -> None:
    noise = np.random.default_rng(4).random((200, 300)).astype(np.float32)
    wide = (cv2.GaussianBlur(noise, (0, 0), 2.0) * 255).astype(np.uint8)
    motion = motion_between(np.ascontiguousarray(wide[:, 6:256]), np.ascontiguousarray(wide[:, :250]))
    assert np.median(motion.forward[..., 0]) == pytest.approx(6.0, abs=0.2)
    assert np.median(motion.backward[..., 0]) == pytest.approx(-6.0, abs=0.2)
    assert motion.forward.shape == (-(-200 // motion.scale), -(-250 // motion.scale), 2)


def test_frames_too_small_for_flow_are_averaged_as_they_are() -> None:
    frames = list(np.random.default_rng(5).random((3, 12, 12, 3)).astype(np.float32))
    assert np.allclose(mean_over_time(frames), np.mean(frames, axis=0), atol=1e-6)
