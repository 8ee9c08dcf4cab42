"""What losses are computed on: pairs of one shape, and single RGB frames out of many channels."""

import pytest
import torch

from deblur_core.losses.operands import operands, single_frames


def test_half_precision_becomes_single_and_double_stays() -> None:
    half, double = torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1, dtype=torch.float64)
    assert [x.dtype for x in operands(half, half)] == [torch.float32] * 2
    assert [x.dtype for x in operands(half, double)] == [torch.float64] * 2


def test_many_frames_become_a_batch_in_their_order() -> None:
    frames = torch.arange(2 * 6).view(2, 6, 1, 1)
    assert single_frames(frames).flatten(1).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_luma_stands_for_all_three_colours() -> None:
    frames = torch.arange(2).view(1, 2, 1, 1)
    assert single_frames(frames, channels=1).flatten(1).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_channels_that_are_no_whole_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="7 channels are no frames of 3"):
        single_frames(torch.zeros(1, 7, 2, 2))
