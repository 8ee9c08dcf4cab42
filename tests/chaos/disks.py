"""Disks that are full, read-only, or fail for a while. Wants a machine on which filesystems may be mounted; where they
may not, the same errors are raised inside the program instead."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.trial import Run, Started, Trial

_DISK_BYTES = 96 << 20
_LEFT_BYTES = 64 << 10
_FULL_SECONDS = 10.0
_FULL_TOO_LONG_SECONDS = 75.0
_READ_ONLY_SECONDS = 60.0


def full(trial: Trial) -> None:
    """The disk for temporary files, in each second trial the destination's, has no room left: for long, for a while."""
    destination = trial.number % 2 == 0
    folder = trial.out.folder if destination else trial.temporary
    name = "destination's disk full" if destination else "disk for temporary files full"
    if not mounted(trial, folder):
        trial.ticket(f"{name} (as an error)", "written", "disk_error", "ENOSPC", object="overlay")
        trial.run()
        return
    run = _once(trial, folder, f"{name}, for longer than calls are tried", _FULL_TOO_LONG_SECONDS)
    failed = json.loads(run.stdout)["failures"] if run.code in (0, 3) else [{}]
    # Where nothing is left to do, all is done again.
    force = ["--force"] if {each.get("video") for each in failed} <= trial.expected.failed else []
    _once(trial, folder, f"{name}, for a while", _FULL_SECONDS, *force)


def _once(trial: Trial, folder: Path, kind: str, seconds: float, *options: str) -> Run:
    ballast = folder / ".ballast"
    started = trial.start(*options)
    if trial.wait_for_calls(started, trial.chance.randint(2, 5)):
        fill(ballast)
        began = time.monotonic()
        trial.fault(kind, run=started.mark, victim_run=started.mark, lasts=True)
        while started.runs and time.monotonic() - began < seconds:
            fill(ballast)
            time.sleep(0.05)
    ballast.unlink(missing_ok=True)
    return trial.end(started)


def fill(ballast: Path) -> None:
    """Until almost nothing is left."""
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        free = _free_bytes(ballast.parent)
        while free > _LEFT_BYTES:
            file.write(b"\0" * min(free - _LEFT_BYTES // 2, 1 << 20))
            free = _free_bytes(ballast.parent)


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def read_only(trial: Trial) -> None:
    """The destination cannot be written any more, in the middle of a run."""
    if not mounted(trial, trial.out.folder):
        trial.ticket("destination read-only (as an error)", "written", "disk_error", "EROFS", object="part")
        trial.run()
        return
    started = trial.start()
    if trial.wait_for_calls(started, trial.chance.randint(3, 8)) and _becomes(trial, started, "ro"):
        trial.fault("destination read-only", run=started.mark, victim_run=started.mark, lasts=True)
    trial.end(started)
    if not _remounted(trial.out.folder, "rw"):
        trial.notes.append("the destination could not be made writable again")


def _becomes(trial: Trial, started: Started, how: str) -> bool:
    """Only while nobody writes there can it be done."""
    until = time.monotonic() + _READ_ONLY_SECONDS
    while started.runs and time.monotonic() < until:
        if _remounted(trial.out.folder, how):
            return True
        time.sleep(0.01)
    return False


def _remounted(folder: Path, how: str) -> bool:
    return _mount("-o", f"remount,{how}", str(folder)) == 0


def mounted(trial: Trial, folder: Path) -> bool:
    """Puts a small disk in a folder's place, until the trial's end."""
    folder.mkdir(parents=True, exist_ok=True)
    if _mount("-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "chaos", str(folder)) != 0:
        return False
    trial.undo.callback(_unmount, folder)
    return True


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=False, stderr=subprocess.DEVNULL)


def _mount(*arguments: str) -> int:
    try:
        return subprocess.run(["mount", *arguments], check=False, stderr=subprocess.DEVNULL).returncode
    except FileNotFoundError:
        return 1


def failing(trial: Trial) -> None:
    """Errors of a disk or a mounted share that pass, in the middle of writing and of reading."""
    errors: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("disk: input/output error while it is written", "written", "EIO", {"object": "overlay"}),
        ("disk: stale handle of a share while it is written", "written", "ESTALE", {"object": "part"}),
        ("disk: too many open files", "written", "EMFILE", {"object": "labels"}),
        ("disk: no room, once", "written", "ENOSPC", {"object": "outcome"}),
        ("disk: input/output error while records are written", "written", "EIO", {"object": "records"}),
        ("disk: input/output error as the lease is renewed", "written", "EIO", {"object": "lease"}),
    )
    for kind, point, name, match in errors:
        # The first writing of a lease takes it; whether that fails is another matter than its renewal.
        nth = 2 if match["object"] == "lease" else 1
        trial.ticket(kind, point, "disk_error", name, nth=nth, **match)
    trial.run()
