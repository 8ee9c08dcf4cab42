"""A GPU without room: tiles become smaller, what is finished is kept, and the result is the same."""

import pytest
import torch
from torch import Tensor

from deblur_core.errors import DeviceMemoryError, may_pass, runs_until_final
from deblur_core.models.tiling import TileSize, run_tiled

FRAME = torch.rand(1, 3, 96, 256, generator=torch.Generator().manual_seed(1))


class Crowded:
    """A network that squares, on a GPU that has room for so many pixels; after `passes` of them, for `later`."""

    def __init__(self, room: int, later: int | None = None, passes: int = 0) -> None:
        self.room, self.later, self.passes = room, later, passes
        self.done: list[int] = []
        self.refused: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        pixels = x.shape[2] * x.shape[3]
        room = self.room if self.later is None or len(self.done) < self.passes else self.later
        if pixels > room:
            self.refused.append(pixels)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.done.append(pixels)
        return x.square()


def whole() -> Tensor:
    return Crowded(1 << 30)(FRAME)


def test_a_frame_without_room_is_done_in_smaller_tiles_with_the_same_result() -> None:
    network, size = Crowded(96 * 70), TileSize(1 << 20)
    y = run_tiled(network, FRAME, 4, size, overlap=16)
    assert network.refused[0] == 96 * 256
    assert torch.allclose(y, whole(), atol=1e-5)
    assert size.most_pixels <= 96 * 70 * 2


def test_a_later_frame_begins_with_the_tiles_that_had_room() -> None:
    network, size = Crowded(96 * 70), TileSize(1 << 20)
    run_tiled(network, FRAME, 4, size, overlap=16)
    network.refused.clear()
    run_tiled(network, FRAME, 4, size, overlap=16)
    assert network.refused == []


def test_tiles_that_were_finished_are_kept() -> None:
    network, size = Crowded(1 << 30, later=48 * 48, passes=2), TileSize(96 * 96)
    y = run_tiled(network, FRAME, 4, size, overlap=16)
    large = [pixels for pixels in network.done if pixels > 48 * 48]
    assert len(large) == 2  # done before the room shrank, and not again
    assert len(network.refused) < 4
    assert torch.allclose(y, whole(), atol=1e-5)


def test_room_for_nothing_is_an_error_that_may_pass() -> None:
    with pytest.raises(DeviceMemoryError, match="no room for a tile of") as caught:
        run_tiled(Crowded(10), FRAME, 4, TileSize(1 << 20), overlap=16)
    assert may_pass(caught.value) and runs_until_final(caught.value) is None


def test_no_frame_of_any_shape_is_cut_for_ever() -> None:
    for height, width in ((1, 300), (130, 128), (129, 131), (145, 20), (64, 64)):
        with pytest.raises(DeviceMemoryError):
            run_tiled(Crowded(10), torch.zeros(1, 3, height, width), 16, TileSize(1 << 20), overlap=64)
