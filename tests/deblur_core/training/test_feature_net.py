"""The features that losses look through: what they are taught on, and what the released ones answer to."""

import cv2
import numpy as np
import torch

from deblur_core.losses.content import ContentLoss
from deblur_core.losses.feature_weights import released_features
from deblur_core.training.clips import Clip
from deblur_core.training.feature_net import CLASSES, LENGTHS_PIXELS, PATCH, draw_patch, teach


def scene(seed: int, side: int = 200) -> np.ndarray:
    """Fine texture without a direction of its own, uint8 RGB."""
    noise = np.random.default_rng(seed).random((side, side, 3)).astype(np.float32)
    return (cv2.GaussianBlur(noise, (0, 0), 1.0) * 255).astype(np.uint8)


def test_the_class_of_a_patch_is_the_way_and_the_length_of_its_blur() -> None:
    clips = [Clip("noise", [scene(1)])]
    rng = np.random.default_rng(2)
    slopes: dict[int, list[tuple[float, float]]] = {}
    for _ in range(160):
        patch, label = draw_patch(clips, rng)
        assert patch.shape == (PATCH, PATCH, 3) and patch.dtype == np.uint8 and 0 <= label < CLASSES
        grey = patch.mean(axis=2)
        steep = float(np.abs(np.diff(grey, axis=1)).mean()), float(np.abs(np.diff(grey, axis=0)).mean())
        slopes.setdefault(label, []).append(steep)
    lengths = len(LENGTHS_PIXELS)
    for label, found in slopes.items():
        across, down = np.mean(found, axis=0)
        if label == 0:
            assert min(across, down) > max(np.mean(slopes[other], axis=0).max() for other in slopes if other)
        elif (label - 1) // lengths == 0:
            assert across < 0.9 * down, "blurred from side to side"
        elif (label - 1) // lengths == 2:
            assert down < 0.9 * across, "blurred up and down"


def test_teaching_repeats_and_changes_the_features() -> None:
    clips = [Clip("noise", [scene(number)]) for number in range(2)]
    runs = [teach(clips, clips, steps, seed=3, patches=24) for steps in (2, 2, 1)]
    first, second, shorter = (run[0].state_dict()["features.0.weight"] for run in runs)
    assert torch.equal(first, second)
    assert not torch.equal(first, shorter)
    assert runs[0][1] == runs[1][1]


def test_the_released_features_tell_more_blur_from_less() -> None:
    loss = ContentLoss(released_features())
    sharp = scene(5, 96)
    kernels = [np.eye(1, dtype=np.float32), *(np.full((1, length), 1.0 / length, np.float32) for length in (3, 7, 13))]
    frames = [torch.from_numpy(cv2.filter2D(sharp, -1, kernel)).permute(2, 0, 1)[None] / 255.0 for kernel in kernels]
    distances = [float(loss(frame, frames[0])) for frame in frames]
    assert distances[0] == 0.0
    assert distances == sorted(distances)
    assert distances[3] > 1.5 * distances[1]
