"""One trial: runs of the program over the archive into a destination of their own, with faults, then a plain run.

It starts and stops real processes and keeps what they said; what it means is the judge's business.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.archive import OPTIONS, RUN_SECONDS, STARTS, TOO_BUSY, Archive, environment_of
from tests.chaos.expected import expected_of
from tests.chaos.tickets import Ticket, events, tell, withdraw, write_tickets
from tests.flows.archive import Destination
from tests.flows.command import CommandLine
from tests.flows.processes import RAY_AGENTS, marked, seconds_until_gone

GONE_SECONDS = 60.0
AGENTS_SECONDS = 120.0


@dataclass(frozen=True)
class Run:
    """How a run of the program ended. code: its exit code, minus a signal's number where it was killed; moments: of the
    steady clock, in seconds."""

    mark: str
    code: int
    stdout: str
    stderr: str
    began: float
    ended: float


@dataclass
class Started:
    """A run that is going on."""

    mark: str
    process: subprocess.Popen[str]
    began: float
    files: tuple[Path, Path]

    @property
    def runs(self) -> bool:
        return self.process.poll() is None


@dataclass
class Trial:
    """source: the archive's own folder unless a trial changes files; environment: of all its runs; left: tickets that
    nobody came for; notes: what the trial itself found wrong; facts: measured besides; before_plain, afterwards: what
    is done before and after the plain run; undo: at the very end; look: finds what is wrong whenever a run has
    ended."""

    name: str
    folder: Path
    archive: Archive
    command_line: CommandLine
    chance: random.Random
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[object, ...] = ()
    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: int = 0
    bucket: str = ""
    facts: dict[str, float] = field(default_factory=dict)
    before_plain: list[Callable[[], object]] = field(default_factory=list)
    afterwards: list[Callable[[], object]] = field(default_factory=list)
    undo: ExitStack = field(default_factory=ExitStack)
    look: Callable[[], list[str]] | None = None

    def __post_init__(self) -> None:
        self.expected = expected_of(self.archive)
        self.source: object = self.archive.source
        self.target: object = self.folder / "out"
        self.out = Destination(self.folder / "out")
        self.told = self.folder / "chaos"
        self.temporary = self.folder / "temporary"
        self._marks: list[str] = []
        write_tickets(self.told, [])

    @property
    def number(self) -> int:
        """The how manieth of its kind it is, from 1."""
        return int(self.name.rpartition(" ")[2])

    @property
    def driver_file(self) -> str:
        """Where the driver's process id stands, for acts that kill it."""
        return str(self.told / "driver")

    def ticket(self, kind: str, point: str, act: str, argument: Any = None, nth: int = 1, **match: Any) -> Ticket:
        """One that is written now."""
        ticket = Ticket(uuid.uuid4().hex, kind, point, act, match, nth, argument)
        write_tickets(self.told, [ticket])
        return ticket

    def start(self, *options: object, environment: dict[str, str] | None = None) -> Started:
        """Begins a run of the program."""
        mark = uuid.uuid4().hex
        told = {**environment_of(mark, self.told, self.temporary), **self.environment, **(environment or {})}
        number = len(self._marks)
        files = self.folder / f"{number}.stdout", self.folder / f"{number}.stderr"
        self._marks.append(mark)
        began = time.monotonic()
        with files[0].open("w") as stdout, files[1].open("w") as stderr:
            arguments = ("run", self.source, self.target, *OPTIONS, *self.options, *options)
            process = self.command_line.start(*arguments, environment=told, stdout=stdout, stderr=stderr)
        Path(self.driver_file).write_text(str(process.pid))
        return Started(mark, process, began, files)

    def end(self, started: Started, seconds: float = RUN_SECONDS) -> Run:
        """Waits for its end; one that has none is killed and noted."""
        try:
            code = started.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.notes.append(f"a run had not ended after {seconds:.0f} s")
            code = self._kill(started)
        except BaseException:
            self._kill(started)
            raise
        stdout, stderr = (path.read_text(errors="replace") for path in started.files)
        run = Run(started.mark, code, stdout, stderr, started.began, time.monotonic())
        self.runs.append(run)
        tell(self.told, "ended", run=run.mark, code=run.code)
        self._wait_until_gone(started.mark)
        shutil.rmtree(f"/tmp/chaos-{started.mark[:12]}", ignore_errors=True)
        if self.look is not None:
            self.notes += self.look()
        return run

    def run(self, *options: object, environment: dict[str, str] | None = None) -> Run:
        """A run to its end; anew where the machine was too busy to start Ray, as the program then says."""
        for _ in range(STARTS):
            run = self.end(self.start(*options, environment=environment))
            if not (run.code == 1 and TOO_BUSY in run.stderr):
                break
        return run

    def plain(self) -> Run:
        """The run after the faults: none of them is left."""
        self.left += withdraw(self.told)
        for act in self.before_plain:
            act()
        return self.run()

    def close(self) -> None:
        """Whatever happened before: nothing of it goes on."""
        for mark in self._marks:
            end_all(mark)
            shutil.rmtree(f"/tmp/chaos-{mark[:12]}", ignore_errors=True)
        self.undo.close()

    def told_by(self, kinds: Sequence[str]) -> list[dict[str, Any]]:
        return [event for event in events(self.told) if event["what"] in kinds]

    def fault(self, kind: str, **facts: Any) -> None:
        """Notes one that this process put in."""
        tell(self.told, "fault", kind=kind, **facts)

    def wait_for_calls(self, started: Started, count: int, stage: str | None = None) -> bool:
        """Until so many more calls have begun; False where the run ended before, or nothing comes any more."""
        wanted = self._begun(stage) + count
        while self._begun(stage) < wanted:
            if not started.runs or time.monotonic() - started.began > RUN_SECONDS:
                return False
            time.sleep(0.05)
        return True

    def _begun(self, stage: str | None) -> int:
        return sum(stage in (None, event["stage"]) for event in self.told_by(["begin"]))

    def _kill(self, started: Started) -> int:
        end_all(started.mark)
        return started.process.wait(30)

    def _wait_until_gone(self, mark: str) -> None:
        """Ray's agents of a killed driver look for their node once a minute, so they are asked for at the end."""
        try:
            seconds_until_gone(mark, GONE_SECONDS, but=RAY_AGENTS)
        except AssertionError as error:
            self.notes.append(f"processes outlive their run: {error}"[:600])

    def wait_for_agents(self) -> None:
        """At the trial's end."""
        for run in self.runs:
            try:
                seconds_until_gone(run.mark, AGENTS_SECONDS)
            except AssertionError as error:
                self.notes.append(f"processes outlive their run: {error}"[:600])


def end_all(mark: str) -> None:
    """Of a run that this process started, whatever still lives."""
    for line in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(int(line.partition(" ")[0]), signal.SIGKILL)


def processes(mark: str, word: str) -> list[int]:
    """Of a run or a cluster, those whose command line holds the word."""
    lines = (line.partition(" ") for line in marked(mark, whole=True))
    return [int(number) for number, _, command in lines if word in command]
