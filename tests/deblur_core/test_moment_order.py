"""Moments of frames run on from frame to frame, whichever way round a network gave them."""

from itertools import pairwise

import numpy as np
import pytest

from deblur_core.moment_order import MomentEdges, edge_picture, moments_backwards
from tests.media import moving_texture

CANVAS = np.asarray(next(iter(moving_texture(1, (400, 300), 4))))[..., 1]


def seen(x: float, y: float = 60.0) -> np.ndarray:
    """What a camera at this place sees of the canvas."""
    return edge_picture(np.ascontiguousarray(CANVAS[round(y) : round(y) + 120, round(x) : round(x) + 160]))


def stretch(path: list[float], turned: set[int], first: int = 10, lonely: bool = False) -> dict[int, MomentEdges]:
    """Edges of the frames `first` … of a camera whose places (pixels) when each frame begins, from the frame before the
    first to the end of the one after the last, are `path`. The moments of those in `turned` are given backwards.
    lonely: no frame beside the stretch is known."""
    steps = list(pairwise(path))
    edges = {}
    for place, (start, stop) in enumerate(steps[1:-1], 1):
        ends = [seen(start + (stop - start) * at / 14) for at in (1, 13)]
        beside = [seen(sum(steps[other]) / 2) for other in (place - 1, place + 1)]
        number = first + place - 1
        edges[number] = MomentEdges(
            *(ends[::-1] if number in turned else ends),
            None if lonely and place == 1 else beside[0],
            None if lonely and place == len(steps) - 2 else beside[1],
        )
    return edges


PAN = [20.0 + 14 * number for number in range(10)]
SHAKE = [60.0, 74.0, 92.0, 70.0, 58.0, 77.0, 95.0, 84.0, 66.0, 81.0]


@pytest.mark.parametrize("path", [PAN, PAN[::-1], SHAKE], ids=["pan", "pan back", "shake"])
@pytest.mark.parametrize("turned", [set(), {12}, {10, 11, 14}, set(range(10, 17))], ids=str)
def test_frames_that_were_given_backwards_are_found(path: list[float], turned: set[int]) -> None:
    assert moments_backwards(stretch(path, turned)) == turned


def test_a_single_frame_is_turned_by_its_sharp_neighbours() -> None:
    path = [40.0, 52.0, 64.0, 76.0]
    assert moments_backwards(stretch(path, set())) == set()
    assert moments_backwards(stretch(path, {10})) == {10}


def test_a_pan_needs_no_sharp_neighbour() -> None:
    assert moments_backwards(stretch(PAN, {11, 13, 16}, lonely=True)) == {11, 13, 16}


def test_what_stands_still_stays_as_given() -> None:
    assert moments_backwards(stretch([50.0] * 6, {11, 12})) == set()


def test_nothing_is_learnt_from_across_a_cut() -> None:
    """Two stretches meet at a cut: each is turned by what is on its own side."""
    one = stretch(PAN[:6], {10, 12}, first=10)
    other = stretch([y + 60 for y in PAN[:6]][::-1], {14}, first=13)
    one[12] = MomentEdges(one[12].first, one[12].last, one[12].before, None)
    other[13] = MomentEdges(other[13].first, other[13].last, None, other[13].after)
    assert moments_backwards({**one, **other}) == {10, 12, 14}


def test_a_picture_is_made_small_and_of_eight_bits() -> None:
    deep = np.full((1080, 1920), 200 << 8, np.uint16)
    assert edge_picture(deep).shape == (288, 512)
    assert edge_picture(deep).dtype == np.uint8
    assert (edge_picture(deep) == 200).all()
    assert edge_picture(CANVAS).shape == CANVAS.shape
