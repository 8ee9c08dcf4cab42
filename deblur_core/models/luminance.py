"""Luma of RGB frames, and RGB with its luma changed: for networks that restore brightness and leave colour as it is.

BT.601 at full range, as JPEG's YCbCr. Knows no network, and no colour space of a video.
"""

from torch import Tensor

RED, GREEN, BLUE = 0.299, 0.587, 0.114


def luma(frames: Tensor) -> Tensor:
    """Y of RGB frames: [B, 3T, H, W] -> [B, T, H, W], of the same range."""
    return RED * frames[:, 0::3] + GREEN * frames[:, 1::3] + BLUE * frames[:, 2::3]


def with_luma_changed(frames: Tensor, change: Tensor) -> Tensor:
    """RGB frames [B, 3T, H, W] whose Y grew by `change` [B, T, H, W] while Cb and Cr stayed.

    In RGB that is the same step for all three colours, so that nothing is lost on a way to YCbCr and back.
    """
    return frames + change.repeat_interleave(3, dim=1)
