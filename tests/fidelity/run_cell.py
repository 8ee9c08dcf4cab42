"""Takes one file through the program and says what became of it, as a third person would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deblur_core.errors import VerificationError
from tests.fidelity.cells import CONVERTED, EXACT, Cell
from tests.fidelity.judge import judge
from tests.fidelity.quick_line import restored

_ENCODED_AGAIN = "untouched frames encoded again"
DECLINED = "declined"


@dataclass(frozen=True)
class Verdict:
    """outcome: exact, converted or declined; how: what was converted, or why it was declined, in the program's words;
    faults: what is wrong; frames that were neither restored nor changed are `identical`, the others are at least
    `lowest_db` like their originals (None where there are none)."""

    outcome: str
    how: str
    faults: tuple[str, ...] = ()
    frames: int = 0
    restored: int = 0
    identical: int = 0
    lowest_db: float | None = None

    def misses(self, expected: str) -> str | None:
        """What is wrong with it, where `expected` is exact, converted, or a pattern for the reason of declining."""
        if self.faults:
            return "; ".join(self.faults)
        if expected in (EXACT, CONVERTED):
            return None if self.outcome == expected else f"was to be {expected}, but is {self.outcome}: {self.how}"
        if self.outcome != DECLINED:
            return f"was to be declined ({expected}), but is {self.outcome}: {self.how}"
        return None if re.search(expected, self.how) else f"was declined for another reason: {self.how}"


def run_cell(cell: Cell, folder: Path) -> Verdict:
    """Makes the clip in `folder`, which must be empty."""
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    return run_file(cell.make(folder / "in"), folder / "out", cell.segment_frames)


def run_file(source: Path, out: Path, segment_frames: int = 300) -> Verdict:
    """out: an empty folder. Errors that are no decision of the program pass through."""
    outcome = restored(source, out, segment_frames=segment_frames)
    if isinstance(outcome.error, VerificationError):
        return Verdict(DECLINED, str(outcome.error), ("the program could not prove its own result",))
    if outcome.path is None:
        return Verdict(DECLINED, str(outcome.error).removeprefix(f"{source.name}: "))
    found = judge(source, outcome.path, outcome.restored)
    how = [each for each in found.conversions if each != _ENCODED_AGAIN]
    if not outcome.restored:
        found.faults.append("no frame was restored, so nothing was shown")
    return Verdict(
        CONVERTED if how else EXACT,
        ", ".join(how),
        tuple(found.faults),
        found.frames,
        len(outcome.restored),
        found.identical,
        None if found.lowest_db == float("inf") else found.lowest_db,
    )
