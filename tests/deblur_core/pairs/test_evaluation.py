"""Scores of restored pairs: before and after, with the frames around and no more of them in memory than needed."""

from pathlib import Path

import numpy as np
import pytest

from deblur_core.metrics import psnr, ssim
from deblur_core.models.registry import load_selector
from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer
from deblur_core.models.selector import Selector
from deblur_core.pairs import evaluation
from deblur_core.pairs.evaluation import label_sequence, score_sequence
from deblur_core.pairs.frame_pairs import PairSequence
from deblur_core.pairs.picture_file import read_picture
from deblur_core.pairs.sets import find_pairs
from tests.deblur_core.pairs import tiny_sets
from tests.deblur_core.pairs.tiny_sets import blurred_picture, sharp_picture, write_picture


class MeanOfWindow(Restorer):
    """The mean of all frames that it is given; remembers what it was given."""

    name = "mean"
    weights_sha256 = ""

    def __init__(self, needs: ContextNeeds) -> None:
        self.needs = needs
        self.windows: list[FrameWindow] = []

    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        self.windows.append(window)
        frames = [window.target, *window.neighbours.values(), *window.references]
        return np.mean(frames, axis=0).round().astype(window.target.dtype)


def sequence(folder: Path, frames: int = 6, single: bool = False) -> PairSequence:
    return find_pairs(tiny_sets.plain(folder, frames), single=single).sequences[0]


def blurred_frames(pairs: PairSequence) -> np.ndarray:
    return np.stack([read_picture(pair.blurred) for pair in pairs.pairs])


@pytest.mark.parametrize("needs", [ContextNeeds(1, 1), ContextNeeds(2, 0, sharp_references=2, reach_frames=3)])
@pytest.mark.parametrize("labels", [None, [True, False, True, True, False, True]])
def test_a_frame_is_restored_as_if_the_whole_sequence_were_in_memory(
    tmp_path: Path, needs: ContextNeeds, labels: list[bool] | None
) -> None:
    pairs, restorer = sequence(tmp_path), MeanOfWindow(needs)
    blurred = None if labels is None else np.array(labels)
    scores = list(score_sequence(restorer, pairs, blurred))
    whole = restorer.restore(blurred_frames(pairs), np.ones(6, bool) if blurred is None else blurred)
    for score, frame in zip(scores, whole, strict=True):
        truth = read_picture(score.pair.sharp)
        assert score.psnr_after == psnr(frame, truth)
        assert score.ssim_after == ssim(frame, truth)


def test_before_is_the_blurred_frame_against_its_truth(tmp_path: Path) -> None:
    pairs = sequence(tmp_path, 2)
    for number, score in enumerate(score_sequence(MeanOfWindow(ContextNeeds()), pairs)):
        sharp = sharp_picture(number)
        assert score.psnr_before == psnr(blurred_picture(sharp), sharp)
        assert score.ssim_before == ssim(blurred_picture(sharp), sharp)


def test_a_frame_that_is_left_alone_is_not_worse_and_one_that_is_harmed_is(tmp_path: Path) -> None:
    pairs = sequence(tmp_path, 3)
    assert not any(score.worse for score in score_sequence(MeanOfWindow(ContextNeeds()), pairs))
    assert all(score.worse for score in score_sequence(MeanOfWindow(ContextNeeds(1, 1)), pairs))


def test_every_frame_counts_as_blurred_so_none_is_a_reference(tmp_path: Path) -> None:
    restorer = MeanOfWindow(ContextNeeds(sharp_references=2))
    assert all(score.blurred for score in score_sequence(restorer, sequence(tmp_path)))
    assert [len(window.references) for window in restorer.windows] == [0] * 6


def test_photographs_see_nothing_around_them(tmp_path: Path) -> None:
    restorer = MeanOfWindow(ContextNeeds(2, 2, sharp_references=2))
    labels = np.array([True, False, True, True])
    list(score_sequence(restorer, sequence(tmp_path, 4, single=True), labels))
    assert [(len(window.neighbours), len(window.references)) for window in restorer.windows] == [(0, 0)] * 3


def test_a_frame_labelled_sharp_is_not_restored(tmp_path: Path) -> None:
    restorer = MeanOfWindow(ContextNeeds(1, 1))
    scores = list(score_sequence(restorer, sequence(tmp_path, 3), np.array([True, False, True])))
    assert [score.blurred for score in scores] == [True, False, True]
    assert scores[1].psnr_after == scores[1].psnr_before
    assert len(restorer.windows) == 2


@pytest.mark.parametrize("blurred", [True, False])
def test_memory_holds_no_more_than_what_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blurred: bool
) -> None:
    windows: list[evaluation._Window] = []
    original = evaluation._Window.__init__

    def remember(self: evaluation._Window, pairs: PairSequence, margin: int) -> None:
        original(self, pairs, margin)
        windows.append(self)

    monkeypatch.setattr(evaluation._Window, "__init__", remember)
    labels = np.full(12, blurred)
    held = [
        len(windows[0]._held) for _ in score_sequence(MeanOfWindow(ContextNeeds(1, 1)), sequence(tmp_path, 12), labels)
    ]
    assert max(held) <= 3


def test_each_picture_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def count(path: Path) -> np.ndarray:
        read.append(path)
        return read_picture(path)

    monkeypatch.setattr(evaluation, "read_picture", count)
    list(score_sequence(MeanOfWindow(ContextNeeds(2, 2)), sequence(tmp_path)))
    assert len(read) == len(set(read)) == 12


def test_labels_of_another_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"6 frames but labels of shape \(5,\)"):
        list(score_sequence(MeanOfWindow(ContextNeeds()), sequence(tmp_path), np.ones(5, bool)))


def test_a_flat_restoration_is_scored_as_it_is_and_said_to_be_unaligned(tmp_path: Path) -> None:
    class Flat(MeanOfWindow):
        def restore_frame(self, window: FrameWindow) -> np.ndarray:
            return np.full_like(window.target, 100)

    pairs = sequence(tmp_path, 1)
    (score,) = score_sequence(Flat(ContextNeeds()), pairs, align=True)
    assert score.unaligned
    truth = read_picture(pairs.pairs[0].sharp)
    assert score.psnr_after == psnr(np.full_like(truth, 100), truth)


def test_alignment_takes_a_shift_out_of_the_score(tmp_path: Path) -> None:
    smooth = cv2_smooth(sharp_picture(1, (80, 96)))
    write_picture(tmp_path / "sharp" / "a.png", smooth[2:-2, 2:-2])
    write_picture(tmp_path / "blurred" / "a.png", smooth[1:-3, 3:-1])
    pairs = find_pairs(tmp_path).sequences[0]
    (plain,) = score_sequence(MeanOfWindow(ContextNeeds()), pairs)
    (aligned,) = score_sequence(MeanOfWindow(ContextNeeds()), pairs, align=True)
    assert aligned.psnr_before > plain.psnr_before + 10.0
    assert aligned.ssim_after > plain.ssim_after
    assert not aligned.unaligned


def cv2_smooth(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(picture, (0, 0), 2.0)


@pytest.fixture(scope="module")
def selector() -> Selector:
    return load_selector()


def test_a_selector_labels_as_it_would_the_whole_stretch(tmp_path: Path, selector: Selector) -> None:
    pairs = sequence(tmp_path, 4)
    labels = label_sequence(selector, pairs, 0.3)
    assert np.array_equal(labels, selector.blur_probability(blurred_frames(pairs)) >= np.float32(0.3))


def test_a_selector_judges_each_photograph_alone(tmp_path: Path, selector: Selector) -> None:
    pairs = sequence(tmp_path, 4, single=True)
    alone = [selector.blur_probability(frame[None])[0] for frame in blurred_frames(pairs)]
    assert np.array_equal(label_sequence(selector, pairs, 0.3), np.array(alone) >= np.float32(0.3))
