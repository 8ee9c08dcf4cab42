"""Which way round the moments of each blurred frame run. A blurred frame cannot tell: its smear is the same either way.

So each frame's moments are taken as given or backwards, such that what moves goes on from frame to frame. Knows no
network and no video file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

_LONGER_SIDE = 512  # a move of a few pixels still shows, and a picture takes 150 kB


@dataclass(frozen=True, eq=False)
class MomentEdges:
    """Small pictures (`edge_picture`) around and at the ends of one frame's moments.

    first, last: of the moments as given; before, after: the video's frames beside this one, None where there is none in
    the shot.
    """

    first: np.ndarray
    last: np.ndarray
    before: np.ndarray | None = None
    after: np.ndarray | None = None

    def ends(self, backwards: bool) -> tuple[np.ndarray, np.ndarray]:
        """The moment that is shown first and the one that is shown last."""
        return (self.last, self.first) if backwards else (self.first, self.last)


def edge_picture(luma: np.ndarray) -> np.ndarray:
    """Luma plane (uint8 or uint16 full scale) [H, W] → uint8, its longer side at most 512 pixels."""
    shrink = min(_LONGER_SIDE / max(luma.shape), 1.0)
    size = (max(round(luma.shape[1] * shrink), 1), max(round(luma.shape[0] * shrink), 1))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return (small >> 8).astype(np.uint8) if small.dtype == np.uint16 else small


def moments_backwards(edges: Mapping[int, MomentEdges]) -> set[int]:
    """The frames (by number) whose moments are to be shown last first.

    Of all choices for a stretch of consecutive frames the one with the least sum of differences (mean absolute, grey
    levels) between each picture and the next: the frame before the stretch, the ends of each frame's moments, the frame
    after the stretch. Two ways a frame make that a shortest path (Viterbi). Where both are equal, as given.
    """
    backwards: set[int] = set()
    for stretch in _stretches(edges):
        ways = _best_ways([edges[number] for number in stretch])
        backwards |= {number for number, way in zip(stretch, ways, strict=True) if way}
    return backwards


def _stretches(edges: Mapping[int, MomentEdges]) -> list[list[int]]:
    stretches: list[list[int]] = []
    for number in sorted(edges):
        follows = bool(stretches) and stretches[-1][-1] == number - 1 and edges[number].before is not None
        if follows:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    return stretches


def _best_ways(stretch: Sequence[MomentEdges]) -> list[bool]:
    ways = (False, True)
    costs = [_difference(stretch[0].before, stretch[0].ends(way)[0]) for way in ways]
    came_from: list[list[int]] = []
    for earlier, later in pairwise(stretch):
        steps = np.array([[_difference(earlier.ends(a)[1], later.ends(b)[0]) for b in ways] for a in ways])
        through = np.array(costs)[:, None] + steps
        came_from.append(through.argmin(axis=0).tolist())
        costs = through.min(axis=0).tolist()
    last = stretch[-1]
    at = int(
        np.argmin([cost + _difference(last.ends(way)[1], last.after) for cost, way in zip(costs, ways, strict=True)])
    )
    found = [at]
    for step in reversed(came_from):
        found.append(step[found[-1]])
    return [bool(way) for way in reversed(found)]


def _difference(picture: np.ndarray | None, other: np.ndarray | None) -> float:
    if picture is None or other is None:
        return 0.0
    return float(cv2.norm(picture, other, cv2.NORM_L1)) / picture.size
