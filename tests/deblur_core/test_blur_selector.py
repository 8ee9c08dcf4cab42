"""The default selector on clips made here (what every selector promises: test_every_selector.py)."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deblur_core.blur_features import FEATURES
from deblur_core.models.blur_selector import (
    LEAST_LOST,
    TILE_INPUTS,
    BlurSelector,
    cuts,
    focus_context,
    in_context,
)
from deblur_core.models.focus_cues import CUES
from deblur_core.synthesis.focus import out_of_focus
from deblur_core.training.selector import SelectorNet
from deblur_core.training.selector_focus import FocusNet
from tests.deblur_core.selector_clips import clip, shaken

WEIGHTS = Path(__file__).parents[2] / "deblur_core" / "weights" / "selector.safetensors"


@pytest.fixture(scope="module")
def selector() -> BlurSelector:
    return BlurSelector.load(WEIGHTS)


def test_shaken_frames_of_a_sharp_clip_are_found_and_no_others(selector: BlurSelector) -> None:
    frames = clip()
    labels = np.zeros(len(frames), bool)
    labels[[4, 5, 6, 15, 16, 17, 18]] = True
    for number in np.flatnonzero(labels):
        frames[number] = shaken(frames[number], 6.0, int(number))
    assert np.array_equal(selector.blur_probability(frames) >= selector.default_threshold, labels)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_clip_that_is_sharp_throughout_has_no_blurred_frame(selector: BlurSelector, seed: int) -> None:
    assert selector.blur_probability(clip(seed=seed)).max() < selector.default_threshold


def test_blur_in_one_part_of_the_frame_counts(selector: BlurSelector) -> None:
    frames = clip()
    for number in (10, 11, 12):
        frames[number, 60:170, 80:200] = shaken(frames[number], 9.0, number)[60:170, 80:200]
    labels = selector.blur_probability(frames) >= selector.default_threshold
    assert labels[10:13].all() and labels.sum() == 3


def test_strong_blur_is_seen_in_a_single_frame_and_sharpness_too(selector: BlurSelector) -> None:
    frame = clip(1)
    assert selector.blur_probability(frame)[0] < 0.5 < selector.blur_probability(shaken(frame[0], 14.0, 1)[None])[0]


def test_a_cut_between_sharp_shots_is_not_taken_for_blur(selector: BlurSelector) -> None:
    flat = np.clip(clip(12, seed=5).astype(np.float32) * 0.3 + 150, 0, 255).astype(np.uint8)
    frames = np.concatenate([clip(12, seed=4), flat])
    assert cuts(np.stack([selector.frame_features(frame[..., 1]) for frame in frames])) == [0, 12]
    assert selector.blur_probability(frames).max() < 0.5


def test_most_frames_out_of_focus_are_taken_back_and_none_that_motion_blurred(selector: BlurSelector) -> None:
    frames = clip(30)
    soft, blurred = np.arange(6, 12), np.arange(18, 23)
    for number in soft:
        frames[number] = out_of_focus([frames[number]], [3.0])[0]
    for number in blurred:
        frames[number] = shaken(frames[number], 7.0, int(number))
    features = np.stack([selector.frame_features(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames])
    assert (selector._logits(in_context(features))[soft] > 0).all()
    flagged = selector.probabilities(features) >= selector.default_threshold
    assert flagged[blurred].all() and flagged[soft].mean() < 0.5


def test_a_single_soft_frame_is_judged_by_the_first_net_alone(selector: BlurSelector) -> None:
    features = selector.frame_features(clip(1)[0][..., 1])[None]
    assert focus_context(features)[1][0] < LEAST_LOST
    assert np.isinf(selector._motion_logits(features)).all()


def test_numpy_and_torch_agree(selector: BlurSelector) -> None:
    features = np.random.default_rng(0).normal(2.0, 1.0, (5, 12, len(FEATURES))).astype(np.float32)
    first = SelectorNet(torch.zeros(TILE_INPUTS), torch.ones(TILE_INPUTS)).eval()
    second = FocusNet(torch.zeros(CUES), torch.ones(CUES)).eval()
    given = {name: torch.from_numpy(value) for name, value in selector._tensors.items()}
    first.load_state_dict({name: value for name, value in given.items() if not name.startswith("focus")})
    second.load_state_dict({name.replace("focus.", ""): value for name, value in given.items() if "focus" in name})
    with torch.inference_mode():
        blurred = first(torch.from_numpy(in_context(features)))
        moved = second(torch.from_numpy(focus_context(features)[0]))
    expected = torch.sigmoid(torch.minimum(blurred, moved)).numpy()
    assert np.allclose(selector.probabilities(features), expected, atol=1e-5)
