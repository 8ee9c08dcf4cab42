"""`make night`: a night in small. One run over thousands of tiny videos, some of them damaged, while its actors are
killed all along; memory, descriptors, threads and temporary disk are watched, and must not grow after the tenth minute.

Ends with 1 where something grew, or something else was wrong. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from deblur_core.errors import RestoreArchiveError
from tests.flows.archive import Destination
from tests.flows.command import CommandLine
from tests.flows.processes import MARK, seconds_until_gone
from tests.night.archive import distinct_clips, write_archive
from tests.night.faults import Faults
from tests.night.judge import Course, courses
from tests.night.plot import draw
from tests.night.sampler import Reading, Sampler

_OPTIONS = ("--restorer", "default-fast", "--device", "cpu")
_CLIPS = 48
_POISON_EVERY = 25
_END_SECONDS = 300.0
_STARTS = 8
"""Where a machine is too busy to start Ray in its time, the run ends and says so: it is started again"""
_SET_ASIDE = re.compile(r"(?:killed|lost) its worker")
_MIB = 1 << 20


@dataclass(frozen=True)
class Night:
    """What was seen. wrong: what should not have been, besides growth; facts: counts for the report."""

    readings: list[Reading]
    wrong: list[str]
    facts: dict[str, object]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.night")
    parser.add_argument(
        "--minutes", type=float, default=62.0, help="from the first published video to the interruption [62]"
    )
    parser.add_argument("--videos", type=int, default=40_000, help="more than can be done in that time [40000]")
    parser.add_argument("--from-minute", type=float, default=10.0, help="from which on nothing may grow [10]")
    parser.add_argument(
        "--fault-every", type=float, default=45.0, help="seconds from one killed actor to the next [45]"
    )
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks [5]")
    parser.add_argument("--out", type=Path, default=Path("scratch/night-in-small"), help="for table, plot, readings")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="night-") as folder:
        night = _night(Path(folder), given.minutes * 60, given.videos, given.fault_every, given.every, given.out)
    found = courses(night.readings, given.from_minute * 60)
    draw(night.readings, given.out / "night.png")
    growing = [course for course in found if not course.is_flat]
    wrong = night.wrong + [f"{each.subject}: {each.measure} grew by {each.growth:.0f}" for each in growing]
    (given.out / "night.json").write_text(json.dumps({**night.facts, "wrong": wrong}, indent=1))
    _print(found, night.facts)
    for each in wrong:
        print(f"WRONG: {each}")
    return 1 if wrong else 0


def _night(home: Path, seconds: float, videos: int, fault_every: float, look_every: float, kept: Path) -> Night:
    """kept: where the readings go as soon as they are complete."""
    source, out, command_line = home / "in", Destination(home / "out"), CommandLine(home / "home")
    poisoned = write_archive(source, distinct_clips(_CLIPS), videos, _POISON_EVERY)
    mark = f"night-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as ray, (home / "told").open("wb+") as told:
        environment = {MARK: mark, "RAY_TMPDIR": ray, "OMP_NUM_THREADS": "1"}
        places = {
            "work store": out.meta / "work",
            "unfinished files": out.meta / "tmp",
            "TMPDIR": Path(command_line.environment()["TMPDIR"]),
            "Ray's session": Path(ray),
            "Prefect's database": command_line.home / "cache",
        }
        arguments = ("run", source, out.folder, "--json", *_OPTIONS)
        for _ in range(_STARTS):
            process = command_line.start(*arguments, environment=environment, stdout=told, stderr=told)
            _await_first(process, out)
            if process.poll() is None:
                break
        began = time.monotonic()
        with (
            Sampler(process.pid, places, look_every) as sampler,
            Faults(sampler, fault_every) as faults,
            suppress(subprocess.TimeoutExpired),
        ):
            process.wait(seconds)
        lasted = time.monotonic() - began
        _write_readings(sampler.readings, kept / "readings.parquet")
        (kept / "faults.json").write_text(json.dumps(faults.told))
        wrong = _interrupted(process, mark, lasted)
        told.seek(0)
        said = told.read().decode(errors="replace")
    if "Traceback" in said:
        wrong.append(f"the run told of its inside: {said[-600:]}")
    if not (out.meta / "videos.parquet").exists():
        raise RestoreArchiveError(f"after {lasted:.0f} s no video had ended: {'; '.join(wrong)}; {said[-600:]}")
    facts: dict[str, object] = {
        "seconds": round(lasted),
        "files": videos,
        "poisoned": len(poisoned),
        "faults": dict(Counter(f"{name} to a {role}" for _, role, name in faults.told)),
    }
    wrong += _judge_videos(command_line, source, out, poisoned, facts)
    wrong += [f"left in TMPDIR: {path.name}" for path in places["TMPDIR"].iterdir()]
    return Night(sampler.readings, wrong, facts)


def _await_first(process: subprocess.Popen[str], out: Destination) -> None:
    """Minute 0 is when the first video is published, however long the machine takes to start everything."""
    while process.poll() is None and not (out.meta / "manifests").exists():
        time.sleep(1.0)


def _interrupted(process: subprocess.Popen[str], mark: str, lasted: float) -> list[str]:
    """Ends the run as a person would, and sees to it that nothing of it is left."""
    wrong = []
    if process.poll() is not None:
        wrong.append(f"the run ended by itself with {process.returncode} after {lasted:.0f} s")
    else:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 130:
            wrong.append(f"interrupted, it ended with {process.returncode}, not 130")
    try:
        seconds_until_gone(mark, 60.0)
    except AssertionError as error:
        wrong.append(str(error))
    return wrong


def _judge_videos(
    command_line: CommandLine, source: Path, out: Destination, poisoned: set[str], facts: dict[str, object]
) -> list[str]:
    """Everything that was published holds; what failed was damaged, or its workers were killed thrice."""
    records = out.records()
    failed = {video: row["error"] for video, row in records.items() if row["status"] == "failed"}
    published, sealed = set(out.published()), set(out.sealed())
    wrong = [
        f"{video} failed: {error}"
        for video, error in failed.items()
        if video not in poisoned and not _SET_ASIDE.search(error)
    ]
    wrong += [f"{name} is visible, and failed" for name in sorted(published & set(failed))]
    verified = command_line.run("verify", source, out.folder, "--json", "--hashes-only", timeout=3600)
    problems = {each["video"]: each["problems"] for each in json.loads(verified.stdout)["problems"]}
    wrong += [f"{name}: {problems[name]}" for name in sorted(sealed & set(problems))]
    facts |= {
        "published": len(published),
        "recorded": dict(Counter(row["status"] for row in records.values())),
        "set_aside": sum(bool(_SET_ASIDE.search(error)) for error in failed.values()),
        "proved": json.loads(verified.stdout)["videos"]["proved"],
    }
    return wrong


def _write_readings(readings: Sequence[Reading], path: Path) -> None:
    columns = ("seconds", "subject", "process", "measure", "value")
    pq.write_table(pa.table({name: [getattr(each, name) for each in readings] for name in columns}), path)


def _print(found: Sequence[Course], facts: dict[str, object]) -> None:
    console = Console(width=140)
    console.print(facts)
    table = Table("of", "measure", "processes", "at first", "at last", "growth by the line", "allowed", "flat")
    for each in found:
        unit, form = (_MIB, ".1f") if each.measure in ("rss", "pss", "bytes") else (1, ".2f")
        numbers = (each.at_first, each.at_last, each.growth, each.allowed)
        words = [format(number / unit, form) for number in numbers]
        table.add_row(each.subject, each.measure, str(each.processes), *words, "yes" if each.is_flat else "NO")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
