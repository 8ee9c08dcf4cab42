"""One run of the command line over a folder of changed files, and all that can be seen of it from outside. Linux only.

It judges nothing: `mutant_judge` does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows.measure.watched_run import Watched, look_at_processes
from tests.flows.command import CommandLine
from tests.flows.processes import MARK, seconds_until_gone

_LOOK_EVERY_SECONDS = 1.0
_ENDED_WITHIN_SECONDS = 60.0
_VERIFY_SECONDS = 3600.0


@dataclass(frozen=True)
class Seen:
    """code: None where the run had to be killed because its time was over. peaks: bytes of resident memory by process,
    as the kernel recorded them; records: rows of `videos.parquet` by video; files: of the destination; temporary: what
    lay in TMPDIR afterwards; left: processes of the run that outlived it; verified: what `verify --json` printed, if it
    got that far."""

    videos: frozenset[str]
    code: int | None
    stdout: str
    stderr: str
    seconds: float
    peaks: dict[str, int]
    records: dict[str, dict[str, Any]]
    files: tuple[str, ...]
    temporary: tuple[str, ...]
    left: str
    verified_code: int
    verified: dict[str, Any]


def seen_run(
    command_line: CommandLine, source: Path, destination: Path, options: tuple[str, ...], limit_seconds: float
) -> Seen:
    """Runs the archive at `source` into `destination`, then `verify` over both."""
    mark = f"mutants-{os.getpid()}-{time.monotonic_ns()}"
    temporary = Path(command_line.environment()["TMPDIR"])
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as ray, tempfile.TemporaryDirectory() as told:
        environment = {MARK: mark, "RAY_TMPDIR": ray, "OMP_NUM_THREADS": "1"}
        code, seconds, peaks = _watched(
            command_line, ("run", source, destination, "--json", *options), environment, Path(told), limit_seconds
        )
        stdout, stderr = ((Path(told) / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        left = ""
        try:
            seconds_until_gone(mark, _ENDED_WITHIN_SECONDS)
        except AssertionError as error:
            left = str(error)
    table = destination / "_restore" / "videos.parquet"
    rows = pq.read_table(table).to_pylist() if table.exists() else []
    verified = command_line.run("verify", source, destination, "--json", timeout=_VERIFY_SECONDS)
    return Seen(
        frozenset(path.name for path in source.iterdir()),
        code,
        stdout,
        stderr,
        seconds,
        peaks,
        {row["video"]: row for row in rows},
        _names_below(destination),
        _names_below(temporary),
        left,
        verified.code,
        json.loads(verified.stdout or "{}"),
    )


def _watched(
    command_line: CommandLine, arguments: tuple[object, ...], environment: dict[str, str], told: Path, limit: float
) -> tuple[int | None, float, dict[str, int]]:
    """Exit code, seconds and peaks. What it prints goes to files, so that nothing waits for a full pipe."""
    processes: dict[int, Watched] = {}
    began = time.monotonic()
    with (told / "stdout").open("wb") as stdout, (told / "stderr").open("wb") as stderr:
        process = command_line.start(*arguments, environment=environment, stdout=stdout, stderr=stderr)
        while (code := process.poll()) is None and time.monotonic() - began < limit:
            look_at_processes(process.pid, processes, with_pss=False)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY_SECONDS)
        if code is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds = time.monotonic() - began
    return code, seconds, {f"{each.title} {number}": each.peak_rss for number, each in processes.items()}


def _names_below(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()))
