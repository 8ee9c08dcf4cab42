"""What selectors are trained on, and that a short training of each net learns what it is for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.models.deblurnet_selector import DeblurNetSelector
from deblur_core.models.focus_cues import CUES
from deblur_core.synthesis.defocus import DEFOCUS
from deblur_core.synthesis.focus import out_of_focus
from deblur_core.training import selector_focus, selector_network
from deblur_core.training.selector_data import RecordedStretch, kept, motion_stretches
from tests.deblur_core.selector_clips import clip, shaken

SOFT, SHAKEN = slice(4, 9), slice(14, 19)


def stretch(seed: int = 1) -> RecordedStretch:
    """24 frames: five out of focus, five shaken."""
    frames = clip(24, seed)
    frames[SOFT] = out_of_focus(frames[SOFT], [3.0] * 5)
    for number in range(24)[SHAKEN]:
        frames[number] = shaken(frames[number], 9.0, number)
    labels = np.zeros(24, bool)
    labels[SHAKEN] = True
    kinds = np.full(24, "sharp", dtype="<U8")
    kinds[SOFT], kinds[SHAKEN] = DEFOCUS, "shake"
    lumas = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    return RecordedStretch(f"clip{seed}", lumas, labels, tuple(kinds.tolist()))


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no clip to train with"):
        next(motion_stretches(tmp_path, 0, 1))


def test_a_round_that_was_kept_is_read_and_not_made_again(tmp_path: Path) -> None:
    made = []

    def make(data: Path, number: int, seed: int) -> Iterator[RecordedStretch]:
        made.append(number)
        yield stretch(number + 1)

    first = list(kept(make, tmp_path, [0, 1], 1, tmp_path / "kept"))
    again = list(kept(make, tmp_path, [0, 1], 1, tmp_path / "kept"))
    assert made == [0, 1]
    assert [each.name for each in again] == [each.name for each in first] == ["clip1", "clip2"]
    assert again[1].kinds == first[1].kinds and np.array_equal(again[1].lumas, first[1].lumas)


def test_windows_are_half_blurred_and_never_of_a_frame_whose_blur_is_an_object_s() -> None:
    given = selector_network.seen(stretch())
    of_object = RecordedStretch("object", stretch().lumas, stretch().labels, ("object",) * 24)
    assert not selector_network.seen(of_object).blurred.any()
    inputs, labels = selector_network.Windows([given], 1).batch(6)
    assert inputs.shape == (6, 3, 64, 64) and labels.tolist() == [0.0, 1.0] * 3
    with pytest.raises(ValueError, match="wants blurred frames and others"):
        selector_network.Windows([selector_network.seen(of_object)], 1)


def test_a_frame_s_logit_rises_with_those_of_its_windows() -> None:
    torch.manual_seed(0)
    network = DeblurNetSelector.new_network().eval()
    whole = selector_network.seen(stretch())
    small = replace(whole, planes=[plane[:64, :80] for plane in whole.planes])
    weight, bias = selector_network.fit_frames(network, [small] * 3, 1)
    assert weight.shape == (2,) and bias.shape == (1,) and (weight >= 0).all()


def test_a_short_training_tells_motion_from_focus() -> None:
    rng = np.random.default_rng(1)
    given = selector_focus.joined(selector_focus.examples(stretch(), rng))
    assert given.cues.shape[1] == CUES and given.motion.any() and not given.motion.all()
    net = selector_focus.fit(given, 1, steps=80)
    with torch.inference_mode():
        told = net(torch.from_numpy(given.cues)).numpy() > 0
    assert (told == given.motion).mean() > 0.95
