"""What an archivist judges by: the slice of the fidelity matrix that is quick. `make fidelity` runs all of it."""

from pathlib import Path

import pytest

from tests.fidelity.cells import Cell, all_cells
from tests.fidelity.run_cell import run_cell

SLICE = [cell for cell in all_cells() if not cell.slow]


@pytest.mark.parametrize("cell", SLICE, ids=lambda cell: cell.name)
def test_every_cell_is_exact_or_converted_or_declined_as_it_must_be(cell: Cell, tmp_path: Path) -> None:
    assert run_cell(cell, tmp_path).misses(cell.expected) is None


def test_no_two_cells_have_one_name() -> None:
    names = [cell.name for cell in all_cells()]
    assert len(set(names)) == len(names)
