"""What can happen to a process at a point: it dies, hangs, runs out of something, or the world around it changes.

Runs inside the program's own processes. Each takes the ticket's argument.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


def kill(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminate(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5.0)  # until it is heard


def leave(_: Any) -> NoReturn:
    os._exit(1)


def segfault(_: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import ctypes

    ctypes.string_at(0)


def abort(_: Any) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def sleep_forever(_: Any) -> None:
    while True:
        time.sleep(3600.0)


def spin(_: Any) -> None:
    """Native code that never returns and keeps Python's lock: nothing inside the process can end it."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def pause(seconds: float) -> None:
    time.sleep(seconds)


def use_up_memory(spare_bytes: int) -> None:
    """Asks for more than there is, as a video of giant frames would; from then on there is no more than that."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + spare_bytes
    usual = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, usual[1]))
    try:
        bytearray(2 * spare_bytes)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)


def out_of_gpu_memory(_: Any) -> NoReturn:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def disk_error(name: str) -> NoReturn:
    number = getattr(errno, name)
    raise OSError(number, os.strerror(number))


def fail(text: str) -> NoReturn:
    raise RuntimeError(text)


def replace_file(paths: list[str]) -> None:
    """The file changes while it is in use: another of the same name takes its place."""
    new, old = map(Path, paths)
    copy = old.with_name(f".{old.name}.new")
    shutil.copyfile(new, copy)
    copy.rename(old)


def append_file(paths: list[str]) -> None:
    """The file changes while it is in use: somebody writes on."""
    new, old = map(Path, paths)
    with old.open("ab") as file:
        file.write(new.read_bytes())


def move_file(paths: list[str]) -> None:
    """The file is gone from where it was."""
    old, new = map(Path, paths)
    old.rename(new)


def move_clock(seconds: float) -> None:
    """What `time.time` says in this process jumps."""
    usual = time.time
    time.time = lambda: usual() + seconds


def kill_driver(paths: str) -> None:
    """The driver, as its process id in a file says, and with it all that it started."""
    os.kill(int(Path(paths).read_text()), signal.SIGKILL)
    time.sleep(5.0)


def kill_group(path: str) -> None:
    """The driver's process group, in which this process may be."""
    os.killpg(int(Path(path).read_text()), signal.SIGKILL)
    time.sleep(5.0)


ACTS: dict[str, Callable[[Any], None]] = {
    act.__name__: act
    for act in (
        kill, terminate, leave, segfault, abort, sleep_forever, spin, pause, use_up_memory, out_of_gpu_memory,
        disk_error, fail, replace_file, append_file, move_file, move_clock, kill_driver, kill_group,
    )
}  # fmt: skip

KILLS_RUN = ("kill_driver", "kill_group")
