"""What a restorer gets to see of a blurred frame's surroundings, and what stands in where nothing there is sharp."""

import numpy as np
import pytest
import torch
from torch import Tensor

from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.restorer import ContextNeeds, FrameWindow, choose_context, window_in

NEEDS = ContextNeeds(frames_before=1, frames_after=1, sharp_references=2, reach_frames=4)


def labels(text: str) -> np.ndarray:
    """`.` sharp, `b` blurred."""
    return np.array([letter == "b" for letter in text])


def test_references_are_the_nearest_sharp_frames_of_both_sides() -> None:
    plan = choose_context(4, labels("..bbbb.."), NEEDS)
    assert plan.references == (1, 6)
    assert plan.neighbours == {-1: 3, 1: 5}
    assert plan.stand_ins == ()


def test_both_references_come_from_one_side_where_the_other_has_none() -> None:
    assert choose_context(2, labels("bbb..."), NEEDS).references == (3, 4)
    assert choose_context(3, labels("..bb"), NEEDS).references == (1, 0)


def test_nothing_is_looked_at_beyond_the_shot() -> None:
    plan = choose_context(4, labels("..bbbb.."), NEEDS, shot=(2, 6), sharpness_of=float)
    assert plan.references == ()
    assert plan.stand_ins == (3, 5)
    assert plan.wanted <= {2, 3, 4, 5}


def test_the_sharpest_nearby_stand_in_where_no_frame_is_sharp() -> None:
    measures = [9.0, 1.0, 5.0, 2.0, 8.0, 3.0, 4.0, 9.0]
    plan = choose_context(4, labels("bbbbbbbb"), NEEDS, sharpness_of=measures.__getitem__)
    assert plan.stand_ins == (2, 6)
    assert {4, 2, 6} <= plan.wanted


def test_nothing_stands_in_for_references_or_unasked_for() -> None:
    assert choose_context(2, labels("b.bb"), NEEDS, sharpness_of=float).stand_ins == ()
    assert choose_context(2, labels("bbbb"), NEEDS).stand_ins == ()
    assert choose_context(2, labels("bbbb"), ContextNeeds(frames_before=1), sharpness_of=float).stand_ins == ()


def test_the_sharpest_of_a_shot_are_found_in_the_pictures() -> None:
    rng = np.random.default_rng(2)
    frames = [rng.integers(100, 100 + spread, (40, 48, 3)).astype(np.uint8) for spread in (60, 10, 20, 50, 30)]
    window = window_in(frames, 2, np.ones(5, bool), NEEDS)
    assert [id(frame) for frame in window.stand_ins] == [id(frames[0]), id(frames[3])]


class Brighter(RestorationNetwork):
    """Adds one grey level to the target, and remembers the references that it was shown: their mean grey levels."""

    references = 2
    passes = 3

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[float]] = []

    def forward(self, x: Tensor) -> Tensor:
        planes = x[0, [3, 6, 7, 10]].mean((1, 2))
        self.seen.append([round(float(value * 255), 1) for value in planes[[0, 2]] * planes[[1, 3]]])
        return x[:, :3] + 1 / 255


def striped(level: int) -> np.ndarray:
    """Of this mean; an even picture is one in which there is nothing to restore."""
    picture = np.full((16, 16, 3), level - 9, np.uint8)
    picture[:, ::2] += 18
    return picture


def test_stand_ins_are_restored_before_they_are_used_and_only_once() -> None:
    network = Brighter()
    restorer = NetworkRestorer("brighter", network, "", torch.device("cpu"), torch.float32)
    before, after = striped(50), striped(80)
    restored = restorer.restore_frame(FrameWindow(striped(60), {}, (), (before, after)))
    assert (restored == striped(61)).all()
    alone = [[0.0, 0.0]] * 3  # the target, then the two that stand in
    assert network.seen == [*alone, [51.0, 81.0], [51.0, 81.0]]
    network.seen.clear()
    restorer.restore_frame(FrameWindow(striped(70), {}, (), (before, after)))
    assert network.seen == [[0.0, 0.0], [51.0, 81.0], [51.0, 81.0]]


@pytest.mark.parametrize("labels", [np.array([0.2, 0.9]), ["False", "True"], np.array([0, 2])])
def test_labels_that_are_no_labels_are_refused(labels: object) -> None:
    restorer = NetworkRestorer("brighter", Brighter(), "", torch.device("cpu"), torch.float32)
    with pytest.raises(ValueError, match="labels must be bool"):
        restorer.restore(np.stack([striped(60)] * 2), labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [[False, True], np.array([0, 1], np.uint8), np.array([0.0, 1.0])])
def test_labels_of_two_values_are_labels(labels: object) -> None:
    restorer = NetworkRestorer("brighter", Brighter(), "", torch.device("cpu"), torch.float32)
    out = restorer.restore(np.stack([striped(60)] * 2), labels)  # type: ignore[arg-type]
    assert (out == np.stack([striped(60), striped(61)])).all()


def test_frames_without_pixels_are_refused() -> None:
    restorer = NetworkRestorer("brighter", Brighter(), "", torch.device("cpu"), torch.float32)
    with pytest.raises(ValueError, match="0 × 0 pixels hold no picture"):
        restorer.restore(np.zeros((2, 0, 0, 3), np.uint8), np.array([False, True]))


def test_where_there_are_references_nothing_stands_in() -> None:
    network = Brighter()
    restorer = NetworkRestorer("brighter", network, "", torch.device("cpu"), torch.float32)
    restorer.restore_frame(FrameWindow(striped(60), {}, [striped(50), striped(80)], (striped(10), striped(10))))
    assert network.seen == [[50.0, 80.0]] * 3


class Counting(Brighter):
    """Adds as many grey levels as it has been asked before."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append([])
        return x[:, :3] + (len(self.seen) - 1) * 6 / 255


def test_the_result_is_the_mean_of_the_passes_that_had_references() -> None:
    def level(window: FrameWindow) -> int:
        restorer = NetworkRestorer("counting", Counting(), "", torch.device("cpu"), torch.float32)
        return int(restorer.restore_frame(window).mean())

    assert level(FrameWindow(striped(60), {}, [striped(50)])) == 60 + (0 + 6 + 12) / 3
    # Passes 0 to 2 are the target alone and its two stand-ins.
    assert level(FrameWindow(striped(60), {}, (), [striped(50), striped(80)])) == 60 + (18 + 24) / 2
    assert level(FrameWindow(striped(60))) == 60
