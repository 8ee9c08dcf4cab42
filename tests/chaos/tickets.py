"""A ticket says once: at this point of the program, in whichever process comes there, this happens. And what happened.

Tickets and events lie in a folder that all processes of a run see. A ticket is torn off by renaming it, so each is used
once, however many processes come by. Knows neither the program nor what the faults are.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "CHAOS"
"""The environment's name for the folder"""

RUN = "RUN_OF_TEST"


@dataclass(frozen=True)
class Ticket:
    """kind: what the report calls it; point: where; match: what must hold there; nth: at the how manieth time in one
    process; act: what then happens, with `argument`."""

    name: str
    kind: str
    point: str
    act: str
    match: dict[str, Any] = field(default_factory=dict)
    nth: int = 1
    argument: Any = None


def write_tickets(folder: Path, tickets: list[Ticket]) -> None:
    """Adds tickets to a folder, which need not exist."""
    for kind in ("open", "used"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for ticket in tickets:
        path = folder / "open" / ticket.name
        path.with_suffix(".new").write_text(json.dumps(asdict(ticket)))
        path.with_suffix(".new").rename(path)


def open_tickets(folder: Path) -> list[Ticket]:
    """Those that nobody has used."""
    found = []
    for path in sorted((folder / "open").glob("*")):
        try:
            found.append(Ticket(**json.loads(path.read_text())))
        except FileNotFoundError:
            continue  # torn off meanwhile
    return found


def torn_off(folder: Path, ticket: Ticket) -> bool:
    """Whether this caller, of all that came, got it."""
    try:
        (folder / "open" / ticket.name).rename(folder / "used" / ticket.name)
    except FileNotFoundError:
        return False
    return True


def withdraw(folder: Path) -> int:
    """Takes back what nobody has used; returns how many that were."""
    left = list((folder / "open").glob("*"))
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def tell(folder: Path, what: str, **facts: Any) -> None:
    """Adds an event: one write, so that events of many processes do not mix, and a killed one leaves whole lines."""
    event = {
        "what": what,
        "at": time.clock_gettime(time.CLOCK_MONOTONIC),
        "pid": os.getpid(),
        "run": os.environ.get(RUN, ""),
    }
    line = (json.dumps({**event, **facts}) + "\n").encode()
    descriptor = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def events(folder: Path) -> Iterator[dict[str, Any]]:
    """All events in the order in which they were told."""
    path = folder / "events.jsonl"
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)
