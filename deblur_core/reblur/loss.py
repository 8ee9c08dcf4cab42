"""The losses of Reblur2Deblur: how far a reblurred frame is from what was recorded, and the hybrid loss.

Knows neither how frames are restored nor how they are reblurred.
"""

from torch import Tensor

ALPHA = 0.1


def self_supervised_loss(reblurred: Tensor, recorded: Tensor, known: Tensor) -> Tensor:
    """Eq. 7 with h = MSE, over the pixels that are `known`: [B, C, H, W] twice and bool [B, 1, H, W] → scalar.

    Frames count equally, however much of them is known; a frame of which nothing is known counts as 0.
    """
    return frame_errors(reblurred, recorded, known).mean()


def frame_errors(image: Tensor, recorded: Tensor, known: Tensor) -> Tensor:
    """Mean squared error of each frame over what is known of it: [B]; 0 where nothing is."""
    error = (image - recorded).square().mean(1, keepdim=True) * known
    return error.sum((1, 2, 3)) / known.sum((1, 2, 3)).clamp(min=1)


def hybrid_loss(supervised: Tensor, self_supervised: Tensor, alpha: float = ALPHA) -> Tensor:
    """Eq. 10: L = L_S + α L_U. L_U alone has a degenerate minimum: a network that restores nothing, and no motion."""
    return supervised + alpha * self_supervised
