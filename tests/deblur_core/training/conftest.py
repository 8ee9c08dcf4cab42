"""A small folder of sharp material."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.training.library import build_library


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures with edges, 260 × 300."""
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(3):
        rng = np.random.default_rng(seed)
        picture = np.full((260, 300, 3), 90, np.uint8)
        for _ in range(80):
            x, y = (int(value) for value in rng.integers(0, 260, 2))
            colour = tuple(float(value) for value in rng.integers(0, 255, 3))
            cv2.rectangle(picture, (x, y), (x + int(rng.integers(4, 60)), y + int(rng.integers(4, 60))), colour, -1)
        cv2.imwrite(str(folder / f"picture{seed}.png"), picture)
    return folder


@pytest.fixture(scope="session")
def library(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "library"
    build_library([photographs], folder)
    return folder
