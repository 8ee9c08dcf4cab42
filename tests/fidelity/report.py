"""Writes what the matrix gave as a page for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fidelity.run_cell import DECLINED, Verdict

_FILES_BEGIN, _FILES_END = "<!-- files: begin -->", "<!-- files: end -->"

_INTRODUCTION = """# Fidelity

What the program does with everything that is not the blurred picture. This page is written by `make fidelity` from what
it found; it is not edited by hand.

Each clip below is made by the tests, taken through the program's own stages (a few frames of it changed plainly in the
place of a restoration), and compared with its result by other code than the program's: number of frames, their times,
sound against picture, every other stream's packets, tags, colour, side data, and the frames that were not restored.

- **exact**: same container, codec and pixel format; all times to the tick; every stream, tag and chapter.
- **converted**: the container or codec cannot hold the result, another does, and the table says which.
- **declined**: the program says why it will not do it; nothing is published.

*Untouched frames*: how many of those that were not restored are identical to the source's, sample by sample; the others
were encoded again beside restored ones, and are at least so many dB like it.
"""


@dataclass(frozen=True)
class Row:
    """One line of a table: what it is about, in as many words as the table has columns, and what became of it."""

    about: tuple[str, ...]
    verdict: Verdict
    wrong: str | None


def with_clips(before: str, cells: Sequence[Row]) -> str:
    """The page with a new table of clips; that of files stays as it stands in `before`, the page as it was."""
    kept = before.partition(_FILES_BEGIN)[2].partition(_FILES_END)[0]
    parts = [_INTRODUCTION, "## Clips\n", _counts(cells), _table(("container", "codec", "case"), cells), ""]
    return "\n".join(parts) + f"\n{_FILES_BEGIN}{kept}{_FILES_END}\n"


def with_files(before: str, files: Sequence[Row]) -> str:
    """The page `before` with a new table of real files."""
    head = before.partition(_FILES_BEGIN)[0]
    parts = ["", "## Real files that break video tools\n", _counts(files), _table(("file",), files), ""]
    return f"{head}{_FILES_BEGIN}" + "\n".join(parts) + f"{_FILES_END}\n"


def counts(rows: Sequence[Row]) -> Counter[str]:
    return Counter("wrong" if row.wrong else row.verdict.outcome for row in rows)


def _counts(rows: Sequence[Row]) -> str:
    found = counts(rows)
    told = [f"{found[outcome]} {outcome}" for outcome in ("exact", "converted", DECLINED, "wrong")]
    return f"{len(rows)} in all: {', '.join(told)}.\n"


def _table(columns: tuple[str, ...], rows: Sequence[Row]) -> str:
    heads = (*columns, "outcome", "how, or why", "untouched frames")
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for row in rows:
        outcome = "**wrong**" if row.wrong else row.verdict.outcome
        cells = (*row.about, outcome, row.wrong or row.verdict.how, _untouched(row.verdict))
        lines.append("| " + " | ".join(each.replace("|", "\\|").replace("\n", " ") for each in cells) + " |")
    return "\n".join(lines)


def _untouched(verdict: Verdict) -> str:
    if not verdict.frames:
        return ""
    told = f"{verdict.identical} of {verdict.frames - verdict.restored} identical"
    return told if verdict.lowest_db is None else f"{told}, others ≥ {int(verdict.lowest_db)} dB"
