"""Pairs of real blurred frames and what a stronger restorer makes of them: what no pair of sharp frames can show.

Beyond Reblur2Deblur. The blur is the archive's own, and the teacher's frame, though not the truth, is nearer to it than
the pupil's (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", for pictures). Knows no loss.
"""

from collections.abc import Sequence

import numpy as np

from deblur_core.adaptation.footage import Footage, cut_square
from deblur_core.adaptation.pairs import MARGIN, cut_pair, shown_by_a_pass
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.passes import stacks_of_passes
from deblur_core.models.restorer import Restorer, window_in

MOST_FRAMES = 48
"""Blurred frames that the teacher restores: on a CPU it takes a second or so for each"""


def draw_distilled(
    footage: Sequence[Footage],
    count: int,
    pupil: NetworkRestorer,
    teacher: Restorer,
    patch: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """`count` pairs in the form of `draw_pairs`: places of blurred frames, with the teacher's frames for truths; none
    where no frame is blurred. Sharp frames of a window are their own truths."""
    blurred = [(each, int(number)) for each in footage for number in np.flatnonzero(each.blurred)]
    chosen = [blurred[int(number)] for number in rng.permutation(len(blurred))[:MOST_FRAMES]]
    taught = {id(each): _Taught(each, teacher) for each, _ in chosen}
    size, pairs = patch + 2 * MARGIN, list[np.ndarray]()
    while chosen and len(pairs) < count:
        each, number = chosen[int(rng.integers(len(chosen)))]
        place = each.random_place(size, rng)
        window = each.window(number, pupil.needs, place, size)
        shown = shown_by_a_pass(pupil.network, number, len(each.frames))
        truths = [taught[id(each)].cut(moment, place, size) for moment in shown]
        pairs += [cut_pair(seen, truths, patch) for seen in stacks_of_passes(window, pupil, rng)]
    return pairs[:count]


class _Taught:
    """What the teacher makes of a piece of footage, one frame at a time, each once."""

    def __init__(self, footage: Footage, teacher: Restorer) -> None:
        self._footage, self._teacher = footage, teacher
        self._restored: dict[int, np.ndarray] = {}

    def cut(self, number: int, place: tuple[int, int], size: int) -> np.ndarray:
        """Part of a frame, see `cut_square`."""
        footage = self._footage
        if number not in self._restored:
            frame = footage.frames[number]
            if footage.blurred[number]:
                window = window_in(footage.frames, number, footage.blurred, self._teacher.needs)
                frame = self._teacher.restore_frame(window)
            self._restored[number] = frame
        return cut_square(self._restored[number], place, size)
