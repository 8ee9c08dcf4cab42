"""What a network sees of a window in its passes over it, for those who teach it. Knows no loss and no training."""

import numpy as np

from deblur_core.models.network_restorer import NetworkRestorer, stack_planes
from deblur_core.models.restorer import FrameWindow


def stacks_of_passes(window: FrameWindow, restorer: NetworkRestorer, rng: np.random.Generator) -> list[np.ndarray]:
    """`stack_planes` of the first pass and, where the restorer has more, of one of the others, guided by what it
    restored before that: one or two arrays [H, W, C] of the window's dtype."""
    network = restorer.network
    stacks = [stack_planes(window, network.frames, network.references)]
    guided = restorer.guided_window(window)
    if guided is not None:
        guide = restorer.run_pass(window)[network.outputs // 2]
        for _ in range(int(rng.integers(network.passes - 1))):
            guide = restorer.run_pass(guided, guide)[network.outputs // 2]
        stacks.append(stack_planes(guided, network.frames, network.references, guide))
    return stacks
