"""Places of blurred frames with their neighbours in time, as a network sees them: what the reblur loss is computed on.

Knows what a network takes; neither restores nor reblurs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deblur_core.adaptation.footage import Footage
from deblur_core.alignment import align
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import stack_planes
from deblur_core.models.restorer import ContextNeeds, choose_context

_NEAREST_SHARP = ContextNeeds(sharp_references=2)


@dataclass(frozen=True)
class Triples:
    """B places with K neighbours each, all on one device.

    inputs: uint8 [B, 1 + K, C, S, S], what the network sees of the target and of each neighbour (of the target alone
    where it gives the neighbours too); recorded: uint8 [B, 1 + K, 3, S, S], target first; sharp: bool [B, K], the
    neighbours that need no restoring; reference: uint8 [B, 4, S, S], the nearest sharp frame aligned to the target and
    its validity, 0 or 255 (0 throughout where there is none); exposure: float32 [B], τ.
    """

    inputs: Tensor
    recorded: Tensor
    sharp: Tensor
    reference: Tensor
    exposure: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def _parts(self) -> tuple[Tensor, ...]:
        return self.inputs, self.recorded, self.sharp, self.reference, self.exposure

    def pick(self, which: Tensor, device: torch.device) -> "Triples":
        """Some of them, by number (int64) or as marked (bool), on `device`."""
        return Triples(*(part[which].to(device) for part in self._parts()))

    @staticmethod
    def joined(several: Sequence["Triples"]) -> "Triples":
        """One after the other."""
        return Triples(*(torch.cat(part) for part in zip(*(each._parts() for each in several), strict=True)))


def gives_neighbours(network: RestorationNetwork) -> bool:
    """Whether one pass restores the frames beside the target too: a window in, the same window out."""
    return network.outputs == network.frames >= 3


def draw_triples(
    footage: Sequence[Footage],
    count: int,
    network: RestorationNetwork,
    size: int,
    frames: int,
    exposure: float,
    rng: np.random.Generator,
) -> Triples | None:
    """`count` random places, [size, size], of blurred frames that have the neighbours they need; None if there is none.

    frames: 3 asks for the frame before and the one after, 2 for the one after alone; exposure: τ of all of them.
    """
    offsets = (-1, 1) if frames == 3 else (1,)
    targets = [
        (each, int(number))
        for each in footage
        for number in np.flatnonzero(each.blurred)
        if all(0 <= number + offset < len(each.frames) for offset in offsets)
    ]
    if not targets:
        return None
    picks = [targets[int(number)] for number in rng.integers(len(targets), size=count)]
    drawn = [_draw(*pick, network, size, offsets, rng) for pick in picks]
    inputs, recorded, sharp, reference = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
    return Triples(inputs, recorded, sharp, reference, torch.full((count,), exposure))


def _draw(
    footage: Footage,
    target: int,
    network: RestorationNetwork,
    size: int,
    offsets: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    place = footage.random_place(size, rng)
    numbers = [target, *(target + offset for offset in offsets)]
    inputs = []
    for number in numbers[:1] if gives_neighbours(network) else numbers:
        window = footage.window(number, network.needs, place, size)
        inputs.append(stack_planes(window, network.frames, network.references).transpose(2, 0, 1))
    recorded = [footage.cut(number, place, size) for number in numbers]
    reference = np.zeros((4, size, size), np.uint8)
    nearest = choose_context(target, footage.blurred, _NEAREST_SHARP).references
    if nearest:
        number = min(nearest, key=lambda each: abs(each - target))
        [(warped, valid)] = align([footage.cut(number, place, size)], recorded[0])
        reference[:3], reference[3] = warped.transpose(2, 0, 1), valid * 255
    planes = np.stack([frame.transpose(2, 0, 1) for frame in recorded])
    return np.stack(inputs), planes, ~footage.blurred[numbers[1:]], reference
