"""From scores to verdicts: every row of a published table beside what was measured here, as tables and as Markdown.

A difference counts when it is beyond twice its standard error over the samples and beyond what another seed changes.
Trains nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from flows.measure.ablations.studies import PublishedTable, Row

AS_PUBLISHED, WITHIN_NOISE, OPPOSITE, NOT_CLAIMED = (
    "as published",
    "not reproduced (within noise)",
    "opposite",
    "no claim",
)
_EQUAL_DB = 0.01
"""What differs by less is equal, in a paper, whose rounding is no finer, and here."""

Claim = Literal["below", "equal", "none"]


@dataclass(frozen=True)
class Scores:
    """Of one variant. psnr_db, steepness: of each sample, [N]; steps, seconds: what it was given (seconds of processor
    time); parameters: of its network."""

    psnr_db: np.ndarray
    steepness: np.ndarray
    steps: int
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Line:
    """One row as measured. value: PSNR in dB or steepness; difference, error: to the reference, paired over samples;
    seed: what another seed of the control changed, NaN where none was trained."""

    paper: str
    table: str
    name: str
    metric: str
    published_db: float | None
    published_difference_db: float | None
    value: float
    difference: float
    error: float
    seed: float
    verdict: str
    steps: int
    seconds: float
    parameters: int


def judge(claim: Claim, difference: float, error: float, seed: float) -> str:
    """A verdict on one difference to the reference. error: its standard error; seed: a difference that chance makes."""
    noise = max(2.0 * error, 0.0 if np.isnan(seed) else abs(seed), _EQUAL_DB)
    clear = abs(difference) > noise
    if claim == "none":
        return NOT_CLAIMED
    if claim == "equal":
        return OPPOSITE if clear else AS_PUBLISHED
    if not clear:
        return WITHIN_NOISE
    return AS_PUBLISHED if difference < 0.0 else OPPOSITE


def compare(
    paper: str, table: PublishedTable, scores: Mapping[str, Scores], control: Scores | None, control_of: str
) -> list[Line]:
    """The rows of a table, all of whose variants have scores. control: variant `control_of` from another seed."""
    reference = next(row for row in table.rows if row.name == table.reference)
    lines = []
    for row in table.rows:
        own, other = (_values(scores[each.variant], row.metric) for each in (row, reference))
        chance = np.array([np.nan])
        if control is not None:
            chance = _values(control, row.metric) - _values(scores[control_of], row.metric)
        gap = own - other
        error = float(gap.std(ddof=1) / len(gap) ** 0.5) if len(gap) > 1 else float(abs(gap).mean())
        is_reference = row is reference
        published = None
        if row.published_db is not None and reference.published_db is not None:
            published = row.published_db - reference.published_db
        made = scores[row.variant]
        verdict = "" if is_reference else judge(_claim(row, published), float(gap.mean()), error, float(chance.mean()))
        lines.append(
            Line(
                paper, table.title, row.name, row.metric, row.published_db, None if is_reference else published,
                float(own.mean()), float(gap.mean()), error, float(chance.mean()), verdict,
                made.steps, made.seconds, made.parameters,
            )
        )  # fmt: skip
    return lines


def _values(scores: Scores, metric: str) -> np.ndarray:
    return scores.psnr_db if metric == "psnr" else scores.steepness


def _claim(row: Row, published: float | None) -> Claim:
    if published is not None:
        return "equal" if abs(published) < _EQUAL_DB else "below"
    return "below" if row.below_reference else "none"


_HEADER = ("row", "published", "difference", "here", "difference ± error", "other seed", "steps", "CPU s", "verdict")


def cells(line: Line) -> tuple[str, ...]:
    """What a table shows of a row, in the order of its header."""
    digits = 2 if line.metric == "psnr" else 3
    other = bool(line.verdict)
    return (
        line.name,
        "–" if line.published_db is None else f"{line.published_db:.2f}",
        "" if line.published_difference_db is None else f"{line.published_difference_db:+.2f}",
        f"{line.value:.{digits}f}",
        f"{line.difference:+.3f} ± {line.error:.3f}" if other else "",
        "–" if np.isnan(line.seed) or not other else f"{line.seed:+.3f}",
        str(line.steps),
        f"{line.seconds:.0f}",
        line.verdict or "reference",
    )


def show(lines: Sequence[Line], notes: Mapping[str, str], console: Console) -> None:
    """One rich table for each published one."""
    for (paper, title), rows in _grouped(lines).items():
        table = Table(*_HEADER, title=f"{paper}, {title}", caption=notes[paper])
        for row in rows:
            table.add_row(*cells(row))
        console.print(table)


def markdown(lines: Sequence[Line], notes: Mapping[str, str]) -> str:
    """The same as one Markdown table a published one, each under a line that names it."""
    parts = []
    for (paper, title), rows in _grouped(lines).items():
        parts += [f"**`{paper}`, {title}** ({notes[paper]})\n"]
        parts += ["| " + " | ".join(_HEADER) + " |", "| " + " | ".join("---" for _ in _HEADER) + " |"]
        parts += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        parts.append("")
    return "\n".join(parts)


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines as JSON holds them; NaN becomes null."""
    return [
        {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in asdict(line).items()}
        for line in lines
    ]


def _grouped(lines: Sequence[Line]) -> dict[tuple[str, str], list[Line]]:
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.paper, line.table), []).append(line)
    return groups
