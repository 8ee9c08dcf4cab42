"""Runs the real command line and watches it from outside: the memory of each of its processes, and the bytes that lie
in its temporary places.

Reads Linux's /proc; knows the program only by the names of its processes and temporary folders.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deblur_core.errors import RestoreArchiveError

DRIVER, DATABASE, RAY = "driver", "Prefect's server", "Ray"
_ACTOR = "actor"
"""of no known kind: one that classifies, or that never wrote a file"""
_ACTOR_TITLE = "ray::StageActor"
_OPENED_BY = {"overlay.mkv": "deblur actor", "part.mkv": "media actor"}
_SCRATCH = "restore-archive-"
_SETTLED_EVERY = 8
"""PSS makes the kernel walk all pages, so it is read at one of so many looks"""


@dataclass
class Watched:
    """What was seen of one process. Bytes; peak_rss: of the kernel's own record, so nothing between two looks is
    missed; peak_pss: shared pages counted by share."""

    title: str
    peak_rss: int = 0
    peak_pss: int = 0


@dataclass
class TemporaryBytes:
    """The most that lay there at once, in bytes on disk. unfinished: files of the destination that are not yet under
    their final names; together: of all four at one moment."""

    work: int = 0
    scratch: int = 0
    unfinished: int = 0
    ray: int = 0
    together: int = 0
    timeline: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    """(seconds, work, scratch, unfinished, ray) at every look"""


def watched_run(
    source: Path, destination: Path, environment: Mapping[str, str], *options: str, every_seconds: float = 1.0
) -> tuple[dict[str, Any], dict[int, Watched], TemporaryBytes]:
    """The run's report (`summary.json`), its processes by their numbers, and what it left lying meanwhile.

    Raises RestoreArchiveError when the command did not end with 0, or where there is no /proc.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise RestoreArchiveError("memory is read from Linux's /proc, which is not there")
    processes: dict[int, Watched] = {}
    found = TemporaryBytes()
    work = destination / "_restore" / "work"
    command = [sys.executable, "-m", "flows.command_line", "run", str(source), str(destination), "--json", *options]
    with tempfile.TemporaryDirectory(prefix="watch-") as scratch, tempfile.TemporaryFile() as told:
        given = {**os.environ, **environment, "TMPDIR": scratch}
        started = time.monotonic()
        process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=told)
        looks = 0
        while process.poll() is None:
            look_at_processes(process.pid, processes, with_pss=looks % _SETTLED_EVERY == 0)
            _look_at_places(time.monotonic() - started, work, Path(scratch), destination, found)
            looks += 1
            time.sleep(every_seconds)
        assert process.stdout is not None
        output = process.stdout.read()
        if process.returncode:
            told.seek(0)
            reason = told.read().decode(errors="replace").strip()[-400:]
            raise RestoreArchiveError(f"the run ended with {process.returncode}: {reason}")
    run_id = json.loads(output)["run_id"]
    report: dict[str, Any] = json.loads((destination / "_restore" / "runs" / run_id / "summary.json").read_text())
    return report, processes, found


def look_at_processes(root: int, processes: dict[int, Watched], with_pss: bool) -> None:
    """Adds what /proc says now of `root` and all that descend from it."""
    for number in family(root):
        try:
            watched = processes.setdefault(number, Watched(RAY))
            if watched.title in (RAY, _ACTOR):  # Ray starts a process first and makes an actor of it later
                watched.title = _title(number, number == root)
            status = Path(f"/proc/{number}/status").read_text()
            watched.peak_rss = max(watched.peak_rss, _kibibytes(status, "VmHWM:"))
            if with_pss:
                settled = Path(f"/proc/{number}/smaps_rollup").read_text()
                watched.peak_pss = max(watched.peak_pss, _kibibytes(settled, "Pss:"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while it was looked at


def bytes_below(folder: Path, besides: str | None = None) -> int:
    """On disk, of all files below `folder`; a top folder called `besides` is left out."""
    total = 0
    for top, folders, files in os.walk(folder):
        if Path(top) == folder and besides in folders:
            folders.remove(besides)
        for name in files:
            try:
                total += os.lstat(f"{top}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _look_at_places(seconds: float, work: Path, scratch: Path, destination: Path, found: TemporaryBytes) -> None:
    each = (
        bytes_below(work),
        bytes_below(scratch, besides="ray"),
        bytes_below(destination / "_restore" / "tmp"),
        bytes_below(scratch / "ray"),
    )
    found.timeline.append((round(seconds, 1), *each))
    found.work, found.scratch = max(found.work, each[0]), max(found.scratch, each[1])
    found.unfinished, found.ray = max(found.unfinished, each[2]), max(found.ray, each[3])
    found.together = max(found.together, sum(each))


def family(root: int) -> Iterator[int]:
    """`root` and every process that descends from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name, in brackets, may hold spaces; the parent is the second field after it.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    waiting = [root]
    while waiting:
        number = waiting.pop()
        yield number
        waiting += children.get(number, [])


def _title(number: int, is_root: bool) -> str:
    if is_root:
        return DRIVER
    command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if command.startswith(_ACTOR_TITLE):
        return _kind_of_actor(number)
    return DATABASE if "embedded_server" in command else RAY


def _kind_of_actor(number: int) -> str:
    """From what it has open in its temporary folder; classify actors write nothing there."""
    for link in Path(f"/proc/{number}/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:
            continue
        if target.parent.name.startswith(_SCRATCH):
            return _OPENED_BY.get(target.name, "media actor")
    return _ACTOR


def _kibibytes(text: str, field_name: str) -> int:
    line = next((line for line in text.splitlines() if line.startswith(field_name)), None)
    return 0 if line is None else int(line.split()[1]) * 1024
