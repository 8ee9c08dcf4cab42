"""Finds every process that a command started, however deep, by a mark in its environment. Linux only."""

import os
import time
from contextlib import suppress
from pathlib import Path

MARK = "RUN_OF_TEST"


RAY_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""They look for their node only now and then: up to a minute after a driver was killed alone."""


def marked(mark: str, whole: bool = False) -> list[str]:
    """Process ids and command lines of the living processes whose environment holds the mark. whole: else the first 120
    letters of each."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z" and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"{folder.name} {command if whole else command[:120]}")
    return found


def seconds_until_gone(mark: str, limit_seconds: float, but: tuple[str, ...] = ()) -> float:
    """Waits until no process has the mark, those named in `but` apart; returns how long that took.

    Raises AssertionError past the limit.
    """
    began = time.monotonic()
    while left := [process for process in marked(mark) if not any(name in process for name in but)]:
        assert time.monotonic() - began < limit_seconds, f"still there after {limit_seconds} s: {left}"
        time.sleep(0.2)
    return time.monotonic() - began
