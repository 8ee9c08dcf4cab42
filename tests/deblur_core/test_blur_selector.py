"""The released selector on clips made here, and what it promises for any number of frames."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deblur_core.blur_features import FEATURES
from deblur_core.errors import WeightsError
from deblur_core.models.blur_selector import TILE_INPUTS, BlurSelector, cuts, in_context
from deblur_core.synthesis import motion
from deblur_core.training.selector import SelectorNet

WEIGHTS = Path(__file__).parents[2] / "deblur_core" / "weights" / "selector.safetensors"


@pytest.fixture(scope="module")
def selector() -> BlurSelector:
    return BlurSelector.load(WEIGHTS)


def scene(seed: int, height: int = 216, width: int = 288) -> np.ndarray:
    """Shapes with edges, letters and a little texture: uint8 [2 H, 2 W, 3]."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize((rng.random((6, 8, 3)) * 200).astype(np.uint8), (2 * width, 2 * height))
    for _ in range(220):
        x, y = int(rng.integers(2 * width)), int(rng.integers(2 * height))
        colour = tuple(float(value) for value in rng.integers(0, 255, 3))
        if rng.random() < 0.5:
            cv2.putText(picture, chr(int(rng.integers(65, 91))) * 2, (x, y), 0, rng.uniform(0.4, 1.2), colour, 2)
        else:
            cv2.rectangle(picture, (x, y), (x + int(rng.integers(5, 60)), y + int(rng.integers(5, 60))), colour, -1)
    noise = rng.normal(0, 5, picture.shape)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.5) + noise, 0, 255).astype(np.uint8)


def clip(frames: int = 24, seed: int = 1) -> np.ndarray:
    """A slow pan in whole pixels, uint8 [T, 216, 288, 3]; every frame equally sharp."""
    wide = scene(seed)
    return np.stack([wide[n : n + 216, 2 * n : 2 * n + 288] for n in range(frames)])


def shaken(frame: np.ndarray, pixels: float, seed: int) -> np.ndarray:
    kernel = motion.path_kernel(motion.shake_path(np.random.default_rng(seed), pixels))
    return np.rint(motion.convolve(frame.astype(np.float32), kernel)).astype(np.uint8)


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


def test_sixteen_bits_give_nearly_the_same_probabilities(selector: BlurSelector) -> None:
    frames = clip(8)
    frames[3] = shaken(frames[3], 6.0, 1)
    deep = selector.blur_probability(frames.astype(np.uint16) * 257)
    assert np.allclose(deep, selector.blur_probability(frames), atol=0.02)


@pytest.mark.parametrize("shape", [(0, 64, 64, 3), (1, 16, 16, 3), (3, 33, 47, 3), (2, 90, 1001, 3)])
def test_any_number_and_size_of_frames_gives_a_probability_each(selector: BlurSelector, shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = selector.blur_probability(frames)
    assert found.shape == shape[:1] and found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_features_streamed_one_by_one_give_what_whole_frames_give(selector: BlurSelector) -> None:
    frames = clip(6)
    streamed = [selector.frame_features(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames]
    assert np.array_equal(selector.probabilities(streamed), selector.blur_probability(frames))


def test_numpy_and_torch_agree(selector: BlurSelector) -> None:
    features = np.random.default_rng(0).normal(2.0, 1.0, (5, 12, len(FEATURES))).astype(np.float32)
    net = SelectorNet(torch.zeros(TILE_INPUTS), torch.ones(TILE_INPUTS)).eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in selector._tensors.items()})
    with torch.inference_mode():
        expected = torch.sigmoid(net(torch.from_numpy(in_context(features)))).numpy()
    assert np.allclose(selector.probabilities(features), expected, atol=1e-5)


def test_the_card_names_the_weights_by_their_hash(selector: BlurSelector) -> None:
    assert selector.weights_sha256 in WEIGHTS.with_suffix(".md").read_text()


def test_weights_that_are_missing_or_foreign_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent"):
        BlurSelector.load(tmp_path / "absent.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="broken"):
        BlurSelector.load(tmp_path / "broken.safetensors")


def test_a_black_stretch_is_not_blurred(selector: BlurSelector) -> None:
    black = np.zeros((12, 180, 320, 3), np.uint8)
    assert (selector.blur_probability(black) == 0.0).all()


def test_a_faint_grain_on_black_is_not_blurred_either(selector: BlurSelector) -> None:
    grain = np.random.default_rng(1).normal(2.0, 0.6, (12, 180, 320, 3)).clip(0, 255).astype(np.uint8)
    assert (selector.blur_probability(grain) == 0.0).all()
