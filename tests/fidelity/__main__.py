"""`make fidelity`: the whole matrix, and every file of a folder if one is given; writes docs/fidelity.md.

Ends with 1 if anything came out wrong. Each file has a process of its own, so that none can end the others.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fidelity.cells import Cell, all_cells
from tests.fidelity.report import Row, counts, with_clips, with_files
from tests.fidelity.run_cell import Verdict, run_cell, run_file

_PAGE = Path("docs/fidelity.md")
_LIMIT_SECONDS = 900
_NOTHING = Verdict("declined", "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fidelity")
    parser.add_argument("--files", type=Path, help="a folder of real files, whose table is added")
    parser.add_argument("--files-only", action="store_true", help="leaves the clips out")
    parser.add_argument("--only", default="", help="only cells and files with this in their names; writes no page")
    given = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # or SVT-AV1 writes its banner for every clip
    rows: list[Row] = []
    if not given.files_only:
        rows = [_row_of_cell(cell) for cell in all_cells() if given.only in cell.name]
        print(f"clips: {dict(counts(rows))}")
        if not given.only:
            _PAGE.write_text(with_clips(_PAGE.read_text() if _PAGE.exists() else "", rows))
    if given.files is not None:
        found = sorted(path for path in given.files.rglob("*") if path.is_file())
        files = [_row_of_file(path, given.files) for path in found if given.only in path.name]
        print(f"files: {dict(counts(files))}")
        if not given.only:
            _PAGE.write_text(with_files(_PAGE.read_text(), files))
        rows += files
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"WRONG {' '.join(row.about)}: {row.wrong}")
    return 1 if wrong else 0


def _row_of_cell(cell: Cell) -> Row:
    verdict, wrong = _apart(_cell_verdict, cell)
    return _told(Row((cell.container, cell.codec, cell.case), verdict, wrong or verdict.misses(cell.expected)))


def _row_of_file(path: Path, folder: Path) -> Row:
    verdict, wrong = _apart(_file_verdict, path)
    return _told(Row((str(path.relative_to(folder)),), verdict, wrong or "; ".join(verdict.faults) or None))


def _told(row: Row) -> Row:
    print(" ".join(row.about), "|", row.wrong or row.verdict.outcome, "|", row.verdict.how, flush=True)
    return row


def _cell_verdict(cell: Cell, folder: Path) -> Verdict:
    return run_cell(cell, folder)


def _file_verdict(path: Path, folder: Path) -> Verdict:
    return run_file(path, folder)


def _apart(run: Callable[[Any, Path], Verdict], what: Any) -> tuple[Verdict, str | None]:
    """The verdict of a process of its own, and what is wrong where it came to none."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with TemporaryDirectory(prefix="fidelity-") as folder:
        process = context.Process(target=_send, args=(run, what, Path(folder), sender))
        process.start()
        sender.close()
        try:
            answer: tuple[Verdict, str | None] = (
                receiver.recv() if receiver.poll(_LIMIT_SECONDS) else (_NOTHING, "it never ended")
            )
        except EOFError:
            answer = (_NOTHING, "the process died")
        process.kill()
        process.join()
    return answer


def _send(run: Callable[[Any, Path], Verdict], what: Any, folder: Path, sender: Any) -> None:
    try:
        sender.send((run(what, folder), None))
    except Exception as error:  # noqa: BLE001 - a crash is one of the outcomes that are looked for
        sender.send((_NOTHING, f"crashed: {type(error).__name__}: {error}"))


if __name__ == "__main__":
    sys.exit(main())
