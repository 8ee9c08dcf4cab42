"""The archive that every trial restores, and what an undisturbed run makes of it: the measure of all others."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.tickets import RUN, VARIABLE, events, write_tickets
from tests.flows.archive import Destination
from tests.flows.command import REPOSITORY, CommandLine, Finished
from tests.media import make_clip, truncate
from tests.workers.shaken_clip import shaken_clip

SEGMENT_FRAMES = 12
OPTIONS = ("--json", "--segment-frames", SEGMENT_FRAMES)
INSIDE = Path(__file__).parent / "inside"
BROKEN = "cut.mp4"
RUN_SECONDS = 900.0
STARTS = 5
TOO_BUSY = "Ray does not start on this machine"
BULKY = "bulky.mp4"
_SPARE_BYTES = 11 << 20
_FACTS = "archive.json"


@dataclass(frozen=True)
class Archive:
    """source: its folder, which no trial changes; undisturbed: a destination; calls: those of the undisturbed run, as
    events; seconds: that it took. Of its videos all are published but BROKEN, which fails for good."""

    source: Path
    undisturbed: Destination
    calls: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def videos(self) -> list[str]:
        """Names of all, in order."""
        return sorted(path.relative_to(self.source).as_posix() for path in self.source.rglob("*") if path.is_file())

    @property
    def good(self) -> list[str]:
        """Those that can be published."""
        return [name for name in self.videos if name != BROKEN]

    def drawn(self, chance: random.Random, stage: str, count: int) -> list[dict[str, Any]]:
        """Different calls of a stage, of good videos: stage, video, and frames where it has them."""
        found = [call for call in self.calls if call["stage"] == stage and call["video"] in self.good]
        return chance.sample(found, min(count, len(found)))


def make_bulky(path: Path) -> None:
    """A clip without blur that is copied in several parts: with room that nobody uses at its end."""
    make_clip(path, frames=12, size=(160, 96), seed=7)
    with path.open("ab") as file:
        file.write((_SPARE_BYTES + 8).to_bytes(4, "big") + b"free" + random.Random(1).randbytes(_SPARE_BYTES))


def environment_of(run: str, folder: Path, temporary: Path) -> dict[str, str]:
    """For the processes of one run: faults and events in `folder`, temporary files in `temporary`."""
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        VARIABLE: str(folder),
        RUN: run,
        "PYTHONPATH": f"{INSIDE}:{REPOSITORY}",
        "TMPDIR": str(temporary),
        "RAY_TMPDIR": f"/tmp/chaos-{run[:12]}",
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",  # else faults wait for whatever the machine does besides
    }


def make_archive(folder: Path, command_line: CommandLine, more: dict[str, str], small: bool = False) -> Archive:
    """Makes the clips and restores them once. more: environment of that run; small: fewer clips, for a quick look."""
    source = folder / "source"
    (source / "films").mkdir(parents=True)
    every_second = [(start, start + 6) for start in range(3, 96, 12)]
    if not small:
        shaken_clip(source / "films" / "long.mp4", frames=96, shaken=every_second, size=(240, 160))
        shaken_clip(source / "short.mp4", frames=48, shaken=every_second[:4], size=(160, 120), seed=4)
        shaken_clip(source / "tail.mov", frames=36, shaken=every_second[:3], size=(160, 96), seed=5)
    shaken_clip(source / "one.mp4", frames=24, shaken=every_second[:2], size=(160, 96), seed=6)
    make_clip(source / "sharp.mp4", frames=36, size=(160, 120))
    if not small:
        make_bulky(source / BULKY)
    whole = make_clip(folder / "whole.mp4", frames=30, size=(160, 120), seed=3)
    truncate(whole, source / BROKEN, 0.6)
    undisturbed, told = Destination(folder / "undisturbed"), folder / "undisturbed.chaos"
    write_tickets(told, [])
    environment = environment_of("undisturbed", told, folder / "undisturbed.tmp") | more
    arguments = ("run", source, undisturbed.folder, *OPTIONS)
    for _ in range(STARTS):
        finished: Finished = command_line.run(*arguments, environment=environment, timeout=RUN_SECONDS)
        if TOO_BUSY not in finished.stderr:
            break
    assert finished.code == 3, finished.stderr
    assert [each["video"] for each in json.loads(finished.stdout)["failures"]] == [BROKEN], finished.stdout
    calls = [
        {name: event[name] for name in ("stage", "video", "first", "stop") if name in event}
        for event in events(told)
        if event["what"] == "done"
    ]
    shutil.rmtree(environment["RAY_TMPDIR"], ignore_errors=True)
    (folder / _FACTS).write_text(json.dumps({"calls": calls, "seconds": finished.seconds}))
    return Archive(source, undisturbed, tuple(calls), finished.seconds)


def made_archive(folder: Path) -> Archive | None:
    """One that lies there whole, of a suite that was interrupted."""
    if not (folder / _FACTS).exists():
        return None
    facts = json.loads((folder / _FACTS).read_text())
    return Archive(folder / "source", Destination(folder / "undisturbed"), tuple(facts["calls"]), facts["seconds"])
