"""Clips blurred on purpose: their labels, their truth, and that a seed decides everything."""

import cv2
import numpy as np
import pytest

from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip

CLEAN = PartlyBlurredSettings(share_with_object=0.0, share_highlights=0.0, noise=0.0, crf=(12.0, 12.0), share_jpeg=0.0)


def drifting_texture(frames: int, height: int = 96, width: int = 128, step: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    coarse = cv2.resize(rng.random((24, 40, 3)).astype(np.float32), (width * 2, height * 2))
    wide = (0.5 * coarse + 0.5 * rng.random((height * 2, width * 2, 3))) * 220.0
    return [wide[8 : 8 + height, step * n : step * n + width].astype(np.uint8) for n in range(frames)]


def sharpness(frame: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def test_the_same_seed_gives_the_same_clip_and_another_seed_another() -> None:
    frames = drifting_texture(24)
    first, again, other = (blur_clip(frames, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, again.frames, strict=True))
    assert np.array_equal(first.labels, again.labels) and first.kinds == again.kinds
    assert any(not np.array_equal(a, b) for a, b in zip(first.frames, other.frames, strict=True))


def test_blurred_frames_lose_sharpness_and_sharp_ones_stay_near_their_truth() -> None:
    made = blur_clip(drifting_texture(30), np.random.default_rng(1), CLEAN)
    kept = np.array([sharpness(frame) / sharpness(truth) for frame, truth in zip(made.frames, made.truth, strict=True)])
    assert made.labels.any()
    assert kept[made.labels].max() < 0.5 < kept[~made.labels].min()


@pytest.mark.parametrize("seed", range(8))
def test_runs_keep_their_length_and_some_frames_stay_sharp(seed: int) -> None:
    settings = PartlyBlurredSettings(blurred_share=(0.7, 0.7), noise=0.0)
    made = blur_clip(drifting_texture(40, 32, 48), np.random.default_rng(seed), settings)
    lengths = [len(run) for run in "".join("#" if blurred else "." for blurred in made.labels).split(".") if run]
    assert lengths and all(3 <= length <= 12 for length in lengths)
    assert made.labels.sum() <= 28


def test_labels_strengths_and_kinds_agree_and_no_blur_is_too_slight_to_count() -> None:
    made = blur_clip(drifting_texture(40), np.random.default_rng(3))
    assert np.array_equal(made.labels, made.strength_pixels > 0)
    assert np.array_equal(made.labels, [kind != "sharp" for kind in made.kinds])
    assert made.strength_pixels[made.labels].min() >= 2.5


def test_an_object_blurs_its_own_part_of_the_frame_only() -> None:
    settings = PartlyBlurredSettings(
        share_with_object=1.0, kind_weights=(0, 0, 0, 1), share_highlights=0.0, noise=0.0, crf=(8, 8), share_jpeg=0.0
    )
    made = blur_clip(drifting_texture(24, 144, 192, step=0), np.random.default_rng(2), settings)
    assert "object" in made.kinds
    number = made.kinds.index("object")
    changed = np.abs(made.frames[number].astype(int) - made.truth[number]).max(axis=2) > 40
    assert 0.01 < changed.mean() < 0.5


def test_neighbours_are_averaged_where_the_camera_moves_enough() -> None:
    settings = PartlyBlurredSettings(share_with_object=0.0, kind_weights=(0, 0, 1, 0))
    moving = blur_clip(drifting_texture(24, step=2), np.random.default_rng(2), settings)
    still = blur_clip(drifting_texture(24, step=0), np.random.default_rng(2), settings)
    assert "averaged" in moving.kinds
    assert "averaged" not in still.kinds and still.labels.any()


def test_odd_sizes_and_short_clips_keep_their_shape() -> None:
    made = blur_clip(drifting_texture(7, 45, 63), np.random.default_rng(0))
    assert {frame.shape for frame in made.frames} == {(45, 63, 3)} and len(made.truth) == 7
    assert not blur_clip(drifting_texture(1, 45, 63), np.random.default_rng(0)).labels.any()
    with pytest.raises(ValueError, match="no frames"):
        blur_clip([], np.random.default_rng(0))
