"""What a trial gave, a line each in a file, so that none is lost with the process that gathers them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.chaos.account import Injection


@dataclass(frozen=True)
class Result:
    """wrong: all that does not hold; unused: faults for which the moment never came; facts: measured besides."""

    trial: str
    seconds: float
    injections: tuple[Injection, ...]
    wrong: tuple[str, ...]
    unused: int = 0
    facts: dict[str, float] = field(default_factory=dict)


def keep(path: Path, result: Result) -> None:
    with path.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def kept(path: Path) -> list[Result]:
    """All of a file; of a trial that was done again, the last."""
    found: dict[str, Result] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            told = json.loads(line)
            told["injections"] = tuple(Injection(**each) for each in told["injections"])
            told["wrong"] = tuple(told["wrong"])
            found[told["trial"]] = Result(**told)
    return list(found.values())
