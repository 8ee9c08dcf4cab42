"""Looks at all processes of a run and at its temporary places, again and again. Reads Linux's /proc; judges nothing."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.measure.watched_run import bytes_below, family

DEBLUR, OTHER_ACTOR = "deblur actor", "classify or media actor"
_ACTOR_CLASS = "StageActor"
_ROLES = {
    "flows.embedded_server": "Prefect's server",
    "/raylet/raylet": "raylet",
    "/gcs/gcs_server": "GCS",
}
_PSS_EVERY = 6
"""The kernel walks all pages for it, so it is read at one of so many looks"""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Reading:
    """One number. subject: the role of a process, or a place; process: its id, 0 for sums and places; measure: rss,
    pss, bytes (all three in bytes), descriptors, threads or processes."""

    seconds: float
    subject: str
    process: int
    measure: str
    value: int


class Sampler:
    """Takes readings in a thread of its own while it is open. places: name → folders whose bytes on disk count."""

    def __init__(self, root: int, places: Mapping[str, Path], every_seconds: float) -> None:
        self.readings: list[Reading] = []
        self._root, self._places, self._every = root, places, every_seconds
        self._began, self._looks = time.monotonic(), 0
        self._deblur: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def actors(self) -> dict[int, tuple[str, float]]:
        """Role and age in seconds of each actor that lives now."""
        found = {}
        for process in family(self._root):
            with suppress(OSError):
                role = self._role(process)
                if role in (DEBLUR, OTHER_ACTOR):
                    found[process] = (role, _age(process))
        return found

    def look(self) -> None:
        """Takes one reading of everything."""
        now, sums = time.monotonic() - self._began, Counter[str]()
        with_pss = self._looks % _PSS_EVERY == 0
        self._looks += 1
        for process in family(self._root):
            with suppress(OSError):  # it ended while it was looked at
                role = self._role(process)
                for measure, value in _of_process(process, with_pss).items():
                    self.readings.append(Reading(now, role, process, measure, value))
                    sums[measure] += value
                sums["processes"] += 1
        for measure, value in sums.items():
            self.readings.append(Reading(now, "all processes", 0, measure, value))
        for name, folder in self._places.items():
            self.readings.append(Reading(now, name, 0, "bytes", bytes_below(folder)))

    def _keep(self) -> None:
        while not self._over.wait(self._every):
            self.look()

    def _role(self, process: int) -> str:
        if process == self._root:
            return "driver"
        command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if command.startswith("ray::") and _ACTOR_CLASS in command:
            # Of all actors only these load torch; all others look alike from outside.
            if process not in self._deblur and "libtorch_cpu" in Path(f"/proc/{process}/maps").read_text():
                self._deblur.add(process)
            return DEBLUR if process in self._deblur else OTHER_ACTOR
        return next((role for name, role in _ROLES.items() if name in command), "others of Ray's")


def _of_process(process: int, with_pss: bool) -> dict[str, int]:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":" in line
    )
    if "VmRSS" not in status:
        return {}  # dead, and not yet taken leave of
    found = {
        "rss": int(status["VmRSS"].split()[0]) * 1024,
        "threads": int(status["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{process}/fd")),  # noqa: PTH208 - of the kernel, thousands of times
    }
    if with_pss:
        settled = Path(f"/proc/{process}/smaps_rollup").read_text()
        found["pss"] = next(int(line.split()[1]) * 1024 for line in settled.splitlines() if line.startswith("Pss:"))
    return found


def _age(process: int) -> float:
    started = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]) / _TICKS
    return float(Path("/proc/uptime").read_text().split()[0]) - started
