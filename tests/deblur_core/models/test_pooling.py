"""Local pooling on a coarse grid against means of windows around each pixel."""

import pytest
import torch

from deblur_core.models.pooling import pool, pooled, spread


def field(height: int, width: int) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(5))


def test_a_map_that_one_window_holds_is_pooled_whole() -> None:
    x = field(9, 16)
    for window in (None, 16, 40):
        assert torch.allclose(pooled(x, window), x.mean((2, 3), keepdim=True))


def test_at_a_grid_point_it_is_the_mean_of_the_window_around_it() -> None:
    x = field(48, 64)
    out = pooled(x, 16)
    assert out.shape == x.shape
    for row, column in ((16, 16), (24, 36)):
        window = x[:, :, row - 8 : row + 8, column - 8 : column + 8]
        assert torch.allclose(out[:, :, row, column], window.mean((2, 3)), atol=1e-6)


def test_between_grid_points_it_is_linear_and_beyond_the_outer_ones_constant() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 32, 64)
    out = pooled(ramp, 16)[0, 0]
    expected = (torch.arange(64.0).clamp(8, 56) - 0.5).expand(32, 64)
    assert torch.allclose(out, expected, atol=1e-4)


@pytest.mark.parametrize("size", [(17, 64), (64, 17), (33, 50), (12, 90)])
def test_a_point_wise_layer_may_come_before_the_interpolation(size: tuple[int, int]) -> None:
    x, layer = field(*size), torch.nn.Conv2d(3, 5, 1)
    with torch.inference_mode():
        before, after = spread(layer(pool(x, 16)), x, 16), layer(pooled(x, 16))
    assert torch.allclose(before.expand_as(after), after, atol=1e-6)
