"""Runs the real command line in a process of its own, away from the settings and caches of whoever runs the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[2]
Invoke = Callable[..., Any]
"""Runs a command with these arguments in this process: the fixture `invoke`."""
_OTHERS = ("RESTORE_", "PREFECT_", "RAY_", "AWS_")


@dataclass(frozen=True)
class Finished:
    """How a command ended. `seconds`: wall time of the whole process."""

    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True)
class CommandLine:
    """`restore-archive` with a cache, a folder for temporary files and a working directory of its own below `home`."""

    home: Path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
        temporary = self.home / "temporary"
        temporary.mkdir(parents=True, exist_ok=True)
        own = {
            "PYTHONPATH": str(REPOSITORY),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "TMPDIR": str(temporary),
            "RAY_TMPDIR": "/tmp",  # the paths of its sockets must be short
            "AWS_EC2_METADATA_DISABLED": "true",
            "COLUMNS": "200",
        }
        return {**kept, **own, **(extra or {})}

    def run(self, *arguments: object, environment: Mapping[str, str] | None = None, timeout: float = 300) -> Finished:
        """Runs it to its end."""
        began = time.monotonic()
        with self.start(*arguments, environment=environment) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Finished(process.returncode, stdout, stderr, time.monotonic() - began)

    def start(
        self,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        stdout: int | IO[Any] = subprocess.PIPE,
        stderr: int | IO[Any] = subprocess.PIPE,
    ) -> "subprocess.Popen[str]":
        """Starts it as the leader of a process group of its own."""
        working = self.home / "working"
        working.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "flows.command_line", *map(str, arguments)],
            env=self.environment(environment),
            cwd=working,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
        )


def _hear_interrupts() -> None:
    """A job in a shell's background is deaf to SIGINT, and so is all that it starts; a person at a terminal is not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
