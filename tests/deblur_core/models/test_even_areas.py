"""What is even stays as recorded, to the bit; what is not, and what was found there, is the network's."""

import cv2
import numpy as np
import pytest
import torch

from deblur_core import load_restorer
from deblur_core.models.even_areas import keep_even_areas

LEVEL = 1 / 255
BAR = 96
NEAR = 24
"""So close to what varies, pixels, nothing is promised."""


def letterboxed(height: int = 280, width: int = 121) -> torch.Tensor:
    """Noise between two bars: [1, 3, H, W] in [0, 1]."""
    picture = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(3)) * 0.8 + 0.1
    picture[:, :, :BAR] = picture[:, :, -BAR:] = torch.tensor([16.0, 16.0, 20.0])[:, None, None] * LEVEL
    return picture


def test_bars_stay_to_the_bit_and_the_picture_is_the_networks() -> None:
    recorded = letterboxed()
    restored = recorded + 0.7 * LEVEL
    kept = keep_even_areas(recorded, restored)
    assert (kept[:, :, : BAR - NEAR] == recorded[:, :, : BAR - NEAR]).all()
    assert (kept[:, :, NEAR - BAR :] == recorded[:, :, NEAR - BAR :]).all()
    assert (kept[:, :, BAR:-BAR] == restored[:, :, BAR:-BAR]).all()


def test_what_was_found_in_an_even_area_stays_found() -> None:
    recorded = torch.full((1, 3, 160, 160), 0.05)
    restored = recorded.clone()
    restored[:, :, 80, 80] += 40 * LEVEL
    assert (keep_even_areas(recorded, restored)[:, :, 64:96, 64:96] == restored[:, :, 64:96, 64:96]).all()


def test_a_slow_gradient_gets_a_share_of_the_correction_that_has_no_step() -> None:
    across = torch.linspace(0.0, 1.0, 800) ** 3
    recorded = across.expand(1, 3, 64, 800)
    share = (keep_even_areas(recorded, recorded + LEVEL) - recorded) / LEVEL
    assert share[..., :100].abs().max() < 1e-3
    assert (share[..., -100:] - 1.0).abs().max() < 1e-3
    assert share.diff(dim=3).abs().max() < 0.1


def test_each_channel_and_each_frame_counts_by_itself() -> None:
    blue_only = torch.full((2, 3, 64, 64), 0.5)
    blue_only[1, 2, :, ::2] += 20 * LEVEL
    kept = keep_even_areas(blue_only, blue_only + LEVEL)
    assert (kept[0] == blue_only[0]).all()
    assert (kept[1] == blue_only[1] + LEVEL).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 130), (41, 7)])
def test_any_size(size: tuple[int, int]) -> None:
    recorded = torch.zeros((1, 3, *size))
    assert (keep_even_areas(recorded, recorded + LEVEL) == recorded).all()


@pytest.mark.parametrize("name", ["default", "default-fast"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_restored_frames_have_the_bars_of_those_between_them(name: str, dtype: type[np.generic]) -> None:
    picture = cv2.resize(np.random.default_rng(3).random((9, 12, 3), np.float32), (120, 88))
    picture = np.pad(picture, ((BAR, BAR), (0, 0), (0, 0)), constant_values=16 * LEVEL)
    frames = np.rint(np.stack([picture] * 3) * np.iinfo(dtype).max).astype(dtype)
    restored = load_restorer(name, "cpu").restore(frames, np.array([False, True, False]))[1]
    bars = np.r_[0 : BAR - NEAR, len(picture) - BAR + NEAR : len(picture)]
    levels = np.abs(restored[bars].astype(float) - frames[1][bars]) / (np.iinfo(dtype).max * LEVEL)
    # Not all of them: where the network puts in more than a few levels, it cannot be known to be wrong.
    assert levels.max() < 3.0
    assert levels.mean() < 0.05
    assert (restored[BAR:-BAR] != frames[1][BAR:-BAR]).any()
