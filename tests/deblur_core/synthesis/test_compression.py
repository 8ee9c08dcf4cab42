"""Encoding on purpose: equal frames give equal results, and that costs no quality."""

import cv2
import numpy as np
import pytest

from deblur_core.metrics import psnr
from deblur_core.synthesis import compression


def panning_texture(frames: int, height: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.random((height // 4 + 20, width // 4 + 40, 3)).astype(np.float32), None, fx=4, fy=4)
    wide = (0.6 * coarse + 0.4 * rng.random(coarse.shape)) * 230.0
    return [np.ascontiguousarray(wide[n : n + height, 2 * n : 2 * n + width]).astype(np.uint8) for n in range(frames)]


@pytest.mark.parametrize(("height", "width"), [(320, 320), (272, 272), (480, 272)])
def test_repeated_encodes_are_equal_to_the_last_bit(height: int, width: int) -> None:
    frames = panning_texture(36, height, width)
    first = compression.h264(frames, crf=23.0)
    for _ in range(4):
        again = compression.h264(frames, crf=23.0)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_repeatable_encodes_are_as_good_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = panning_texture(24, 160, 192)
    repeatable = compression.h264(frames, crf=26.0)
    monkeypatch.setattr(compression, "REPEATABLE", {})
    others = compression.h264(frames, crf=26.0)
    quality = [np.mean([psnr(a, b) for a, b in zip(made, frames, strict=True)]) for made in (repeatable, others)]
    assert abs(quality[0] - quality[1]) < 0.05
