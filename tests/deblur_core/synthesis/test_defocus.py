"""A lens out of focus: discs of light, apart from motion."""

import numpy as np
import pytest

from deblur_core.synthesis.defocus import DEFOCUS, defocus, disc_kernel
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip


@pytest.mark.parametrize("radius", [0.3, 1.0, 2.7, 9.0])
def test_the_kernel_is_a_symmetric_disc_that_sums_to_one(radius: float) -> None:
    kernel = disc_kernel(radius)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(kernel, kernel.T) and np.array_equal(kernel, kernel[::-1, ::-1])
    assert 1.0 / kernel.max() == pytest.approx(max(np.pi * radius**2, 1.0), rel=0.25)


def test_defocus_keeps_the_mean_light() -> None:
    light = np.zeros((80, 80, 3), np.float32)
    light[30:50, 20:60] = np.random.default_rng(0).random((20, 40, 3)).astype(np.float32)
    assert defocus(light, 6.5).mean() == pytest.approx(light.mean(), rel=1e-4)
    flat = np.full((40, 40, 3), 0.4, np.float32)
    assert np.allclose(defocus(flat, 4.0), flat, atol=1e-5)


def test_a_point_of_light_becomes_an_even_disc() -> None:
    light = np.zeros((41, 41, 3), np.float32)
    light[20, 20] = 1.0
    seen = defocus(light, 8.0)[..., 0]
    y, x = np.mgrid[-20:21, -20:21]
    inside, outside = np.hypot(x, y) < 7.0, np.hypot(x, y) > 9.0
    assert np.ptp(seen[inside]) < 1e-4 < seen[inside].min()
    assert np.abs(seen[outside]).max() < 1e-5


def test_a_radius_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="radius"):
        disc_kernel(0.0)


def test_a_clip_out_of_focus_says_so_and_its_runs_have_one_disc() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 255, (64, 96, 3), np.uint8)
    settings = PartlyBlurredSettings(share_defocused=1.0, blurred_share=(0.5, 0.7), share_with_object=0.0)
    made = blur_clip([picture] * 30, rng, settings)
    assert set(made.kinds) == {"sharp", DEFOCUS}
    assert np.array_equal(made.labels, [kind == DEFOCUS for kind in made.kinds])
    assert made.strength_pixels[made.labels].min() >= 2.5
