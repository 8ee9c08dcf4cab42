"""From flow to kernel: the table against a line drawn by brute force, and what its kernels weigh."""

import itertools

import numpy as np
import pytest
import torch

from deblur_core.reblur.kernel_table import KernelTable, kernel_table


def drawn_line(u: int, v: int, reach: int, points: int = 4000) -> np.ndarray:
    """A uniform line from (0, 0) to (u, v), drawn point by point; each point falls to the pixels around it."""
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for s in (np.arange(points) + 0.5) / points:
        x, y = u * s + reach, v * s + reach
        left, top = int(np.floor(x)), int(np.floor(y))
        for column, row in itertools.product((left, left + 1), (top, top + 1)):
            share = (1 - abs(x - column)) * (1 - abs(y - row))
            if share > 0:
                kernel[row, column] += share / points
    return kernel


@pytest.mark.parametrize("flow", [(0, 0), (1, 0), (0, -3), (5, 5), (-16, 16), (16, 7), (-4, -13), (3, -1)])
def test_an_entry_is_the_line_that_its_flow_draws(flow: tuple[int, int]) -> None:
    kernel, drawn = kernel_table().kernel(*flow).numpy(), drawn_line(*flow, reach=16)
    rows, columns = np.mgrid[-16:17, -16:17]
    for each in (kernel, drawn):
        assert (each * columns).sum() == pytest.approx(flow[0] / 2, abs=1e-9)
        assert (each * rows).sum() == pytest.approx(flow[1] / 2, abs=1e-9)
    # Along the line both weigh the same stretch by stretch; across it the drawn one is softer by part of a pixel.
    length = np.hypot(*flow)
    if length:
        along = (columns * flow[0] + rows * flow[1]) / length
        for end in np.arange(0.0, length, 2.0):
            near = [np.clip(end + 1.0 - along, 0.0, 1.0) * each for each in (kernel, drawn)]
            assert near[0].sum() == pytest.approx(near[1].sum(), abs=0.6 / length)
        across = np.abs(columns * flow[1] - rows * flow[0]) / length
        assert across[kernel > 0].max() <= 1.0
    else:
        assert kernel[16, 16] == 1.0


def test_there_are_33_by_33_entries_and_each_sums_to_one() -> None:
    table = kernel_table()
    assert table.weights.shape == (33 * 33, 34)
    assert torch.allclose(table.weights.sum(1), torch.ones(33 * 33, dtype=torch.float64), atol=1e-12)
    assert table.offsets.abs().max() == 16


def test_between_whole_pixels_a_kernel_is_the_bilinear_mean_of_four_entries() -> None:
    table = KernelTable(4)
    expected = 0.0
    for u, v in itertools.product((1, 2), (-3, -2)):
        share = (1 - abs(1.3 - u)) * (1 - abs(-2.25 - v))
        expected = expected + share * table.kernel(u, v)
    assert torch.allclose(table.kernel(1.3, -2.25), torch.as_tensor(expected), atol=1e-12)


@pytest.mark.parametrize("flow", [(0.4, 0.0), (-2.5, 7.75), (15.9, -15.9), (16.0, 16.0), (400.0, -3.0)])
def test_a_kernel_of_any_flow_sums_to_one(flow: tuple[float, float]) -> None:
    assert float(kernel_table().kernel(*flow).sum()) == pytest.approx(1.0, abs=1e-12)


def test_a_flow_beyond_the_table_is_cut_off_at_its_border() -> None:
    table = KernelTable(4)
    assert torch.equal(table.kernel(9.0, -1.0), table.kernel(4.0, -1.0))


def test_short_flows_need_few_taps() -> None:
    table = kernel_table()
    flow = torch.full((1, 2, 5), 2.5)
    taps = table.taps_for(flow)
    assert taps == 8
    for entry, _ in table.corners(flow):
        assert torch.all(table.weights[entry][..., taps:] == 0)
