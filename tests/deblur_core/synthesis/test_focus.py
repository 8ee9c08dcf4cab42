"""Clips out of focus in time and in depth."""

import numpy as np
import pytest

from deblur_core.synthesis.focus import focal_field, focus_pull, out_of_focus


def texture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)


def roughness(frame: np.ndarray) -> float:
    return float(np.abs(np.diff(frame.astype(np.float32), axis=1)).mean())


def test_a_frame_with_hardly_a_radius_stays_and_others_soften_with_theirs() -> None:
    frame = texture()
    seen = out_of_focus([frame] * 3, [0.2, 1.5, 4.0])
    assert np.array_equal(seen[0], frame)
    assert roughness(frame) > roughness(seen[1]) > roughness(seen[2])


def test_what_is_in_focus_stays_sharp() -> None:
    frame, in_focus = texture(), np.zeros((60, 80), np.float32)
    in_focus[:, :40] = 1.0
    seen = out_of_focus([frame], [3.0], in_focus)[0]
    assert np.abs(seen[:, :40].astype(int) - frame[:, :40]).max() <= 1
    assert roughness(seen[:, 40:]) < 0.5 * roughness(frame[:, 40:])


@pytest.mark.parametrize("count", [1, 12, 48])
def test_a_pulled_focus_is_soft_for_a_third_to_two_thirds_of_the_frames_at_most(count: int) -> None:
    radii = focus_pull(count, 5.0, np.random.default_rng(count))
    assert radii.shape == (count,) and 0.0 < radii.max() <= 5.0
    assert 1 <= (radii > 0).sum() <= max(round(count * 0.67), 1)


def test_about_the_asked_share_of_a_field_is_in_focus() -> None:
    field = focal_field((120, 160, 3), 0.3, np.random.default_rng(3))
    assert field.shape == (120, 160) and field.min() >= 0.0 and field.max() <= 1.0
    assert (field > 0.5).mean() == pytest.approx(0.3, abs=0.02)
