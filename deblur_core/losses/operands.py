"""What a loss is computed on: two tensors of one shape, in single precision at least. Knows no loss."""

import torch
from torch import Tensor


def operands(restored: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the wider of their dtypes, float32 at least: half precision loses what a loss is about.

    Raises ValueError when their shapes differ, for broadcasting would average over pairs that are none.
    """
    if restored.shape != truth.shape:
        raise ValueError(f"loss: restored {list(restored.shape)} against truth {list(truth.shape)}")
    dtype = torch.promote_types(torch.promote_types(restored.dtype, truth.dtype), torch.float32)
    return restored.to(dtype), truth.to(dtype)


def single_frames(frames: Tensor, channels: int = 3) -> Tensor:
    """[B, F × channels, H, W] → RGB [B × F, 3, H, W]: what a network for single RGB frames can look at.

    channels: 3 for RGB frames, 1 for luma, which then stands for all three. Raises ValueError when the channels are
    no whole number of frames.
    """
    if channels not in (1, 3) or frames.shape[1] % channels:
        raise ValueError(f"loss: {frames.shape[1]} channels are no frames of {channels}")
    return frames.unflatten(1, (-1, channels)).flatten(0, 1).expand(-1, 3, -1, -1)
