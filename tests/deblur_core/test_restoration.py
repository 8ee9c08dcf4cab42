"""Restoring a stream of decoded frames: what each blurred frame is shown with, also where nothing near it is sharp."""

from collections.abc import Iterator

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer
from deblur_core.restoration import restore_stream
from deblur_core.verdict import VerdictLimits

NEEDS = ContextNeeds(sharp_references=2, reach_frames=4)
SPREADS = (8, 60, 12, 30, 10, 14, 50, 9, 11, 40)
"""How strong the texture of each frame is: its sharpness."""


class Recorder(Restorer):
    """Gives frames back as they are and keeps what it was shown."""

    def __init__(self) -> None:
        self.needs = NEEDS
        self.shown: list[FrameWindow] = []

    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        self.shown.append(window)
        return window.target


def frames() -> Iterator[tuple[int, VideoFrame]]:
    rng = np.random.default_rng(8)
    for number, spread in enumerate(SPREADS):
        picture = np.repeat(rng.integers(120 - spread, 120 + spread, (64, 96, 1)), 3, axis=2).astype(np.uint8)
        yield number, VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


def spread_of(picture: np.ndarray) -> int:
    """Which of the frames this is, told by its texture."""
    half = (float(picture.max()) - float(picture.min())) / 2.0
    return min(range(len(SPREADS)), key=lambda number: abs(SPREADS[number] - half))


def shown_with(labels: np.ndarray, targets: list[int]) -> list[FrameWindow]:
    restorer = Recorder()
    list(restore_stream(frames(), labels, 0, targets, restorer, NEEDS, VerdictLimits()))
    return restorer.shown


def test_the_sharpest_nearby_stand_in_where_the_whole_stretch_is_blurred() -> None:
    shown = shown_with(np.ones(len(SPREADS), bool), [2, 5])
    assert [[spread_of(picture) for picture in window.stand_ins] for window in shown] == [[1, 3], [3, 6]]
    assert all(not window.references for window in shown)
    # The same array each time: a restorer knows by it what it has restored already.
    assert shown[0].stand_ins[1] is shown[1].stand_ins[0]


def test_nothing_stands_in_where_a_frame_is_sharp() -> None:
    labels = np.ones(len(SPREADS), bool)
    labels[4] = False
    [window] = shown_with(labels, [5])
    assert [spread_of(picture) for picture in window.references] == [4]
    assert not window.stand_ins
