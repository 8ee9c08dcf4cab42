"""What every selector that can be asked for by name keeps to, on clips made here."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.errors import WeightsError
from deblur_core.models.registry import SELECTORS, load_selector, released_hash
from deblur_core.models.selector import Selector
from deblur_core.models.weights_file import WEIGHTS_FOLDER
from tests.deblur_core.selector_clips import clip, shaken


@pytest.fixture(scope="module", params=list(SELECTORS))
def selector(request: pytest.FixtureRequest) -> Selector:
    return load_selector(request.param, "cpu")


@pytest.mark.parametrize("shape", [(0, 64, 64, 3), (1, 16, 16, 3), (3, 33, 47, 3), (2, 90, 1001, 3), (1, 700, 300, 3)])
def test_any_number_and_size_of_frames_gives_a_probability_each(selector: Selector, shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = selector.blur_probability(frames)
    assert found.shape == shape[:1] and found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_hard_shaken_frames_of_a_sharp_clip_are_the_likeliest(selector: Selector) -> None:
    frames = clip(12)
    blurred = np.isin(np.arange(12), [3, 4, 8])
    for number in np.flatnonzero(blurred):
        frames[number] = shaken(frames[number], 14.0, int(number))
    found = selector.blur_probability(frames)
    assert found[blurred].min() > found[~blurred].max()


def test_features_streamed_one_by_one_give_what_whole_frames_give(selector: Selector) -> None:
    frames = clip(4)
    streamed = [selector.frame_features(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames]
    assert np.array_equal(selector.probabilities(streamed), selector.blur_probability(frames))


def test_sixteen_bits_give_nearly_the_same_probabilities(selector: Selector) -> None:
    frames = clip(5)
    frames[3] = shaken(frames[3], 9.0, 1)
    deep = selector.blur_probability(frames.astype(np.uint16) * 257)
    assert np.allclose(deep, selector.blur_probability(frames), atol=0.05)


def test_ten_bits_of_sixteen_are_seen_as_what_they_are(selector: Selector) -> None:
    luma = cv2.cvtColor(clip(1)[0], cv2.COLOR_RGB2GRAY)
    deep = selector.frame_features(luma.astype(np.uint16) * 4, bits=10)
    assert np.allclose(deep, selector.frame_features(luma), atol=0.05)


def test_where_nothing_is_to_be_seen_nothing_is_blurred(selector: Selector) -> None:
    grain = np.random.default_rng(1).normal(2.0, 0.6, (3, 180, 320, 3)).clip(0, 255).astype(np.uint8)
    assert (selector.blur_probability(np.concatenate([np.zeros_like(grain), grain])) == 0.0).all()


def test_frames_and_features_of_another_shape_are_refused(selector: Selector) -> None:
    with pytest.raises(ValueError, match=r"wants uint8 or uint16 \[T, H, W, 3\]"):
        selector.blur_probability(np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"wants uint8 or uint16 \[H, W\]"):
        selector.frame_features(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"probabilities: wants \[T,"):
        selector.probabilities(np.zeros((2, 5), np.float32))


def test_it_is_known_by_its_name_and_the_hash_of_its_released_weights(selector: Selector) -> None:
    weights = SELECTORS[selector.name].weights
    assert selector.weights_sha256 == released_hash(weights)
    assert selector.weights_sha256 in (WEIGHTS_FOLDER / weights).with_suffix(".md").read_text()
    assert (WEIGHTS_FOLDER / weights).stat().st_size <= 12 << 20


def test_weights_that_are_missing_broken_or_foreign_are_named(selector: Selector, tmp_path: Path) -> None:
    load = type(selector).load
    with pytest.raises(WeightsError, match=r"absent.*cannot be read"):
        load(tmp_path / "absent.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"broken.*cannot be read"):
        load(tmp_path / "broken.safetensors")
    with pytest.raises(WeightsError, match="belong to another architecture"):
        load(WEIGHTS_FOLDER / "contiguous.safetensors")
