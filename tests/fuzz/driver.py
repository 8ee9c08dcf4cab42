"""Runs cases in processes that may die, hang or ask for too much, and says what became of each.

A process has a batch of cases. One that is killed, or that worked longer at a case than it may, is a finding; the next
process goes on with the case behind it. Time is the process's own, so that a busy machine makes nobody hang.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.cases import Case

MEMORY_BYTES = 4 << 30
"""Beyond what a process needs before its first case; 8K pictures alone take 2 GiB"""
BEYOND_MEMORY = "beyond its memory"
CASE_CPU_SECONDS = 180.0
_CASE_WALL_SECONDS = 600.0
_START_WALL_SECONDS = 300.0
_BATCH = 200
_ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Result:
    """outcome: `ok`, `refused: …` or `finding: …`."""

    case: Case
    outcome: str

    @property
    def is_finding(self) -> bool:
        return self.outcome.startswith("finding")


def run_cases(
    cases: list[Case], memory_bytes: int = MEMORY_BYTES, case_cpu_seconds: float = CASE_CPU_SECONDS
) -> Iterator[Result]:
    """Yields a result for each case, in order."""
    waiting = list(cases)
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        while batch:
            done = 0
            for result in _one_process(batch, memory_bytes, case_cpu_seconds):
                done += 1
                yield _with_more_memory(result, memory_bytes) if BEYOND_MEMORY in result.outcome else result
            batch = batch[done:]


def _with_more_memory(result: Result, memory_bytes: int) -> Result:
    """FFmpeg says of an impossible size, too, that there is no memory for it; then more of it changes nothing."""
    (again,) = _one_process([result.case], 4 * memory_bytes, CASE_CPU_SECONDS)
    if BEYOND_MEMORY in again.outcome:
        return Result(
            result.case, again.outcome.replace("finding", "refused", 1).replace(BEYOND_MEMORY, "impossible size")
        )
    return result


def _one_process(batch: list[Case], memory_bytes: int, case_cpu_seconds: float) -> Iterator[Result]:
    """Results up to the case that ended the process, with that one, or of all."""
    command = [sys.executable, "-m", "tests.fuzz.batch", str(memory_bytes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "SVT_LOG": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=_ROOT, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        heard: queue.Queue[bytes | None] = queue.Queue()
        errors: list[bytes] = []
        threads = [
            threading.Thread(target=_hear, args=(process.stdout, heard), daemon=True),
            threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True),  # type: ignore[union-attr]
            threading.Thread(target=_give, args=(process.stdin, batch), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield from _results(process, batch, heard, errors, case_cpu_seconds)
        finally:
            process.kill()


def _results(
    process: subprocess.Popen[bytes],
    batch: list[Case],
    heard: queue.Queue[bytes | None],
    errors: list[bytes],
    case_cpu_seconds: float,
) -> Iterator[Result]:
    for place, case in enumerate(batch):
        word, outcome = "", ""
        began, used = time.monotonic(), _cpu_seconds(process.pid)
        limit = _CASE_WALL_SECONDS + (0 if place else _START_WALL_SECONDS)
        while word != "end":
            try:
                line = heard.get(timeout=1.0)
            except queue.Empty:
                spent = _cpu_seconds(process.pid) - used
                if spent > case_cpu_seconds or time.monotonic() - began > limit:
                    yield Result(case, f"finding: it was still at it after {spent:.0f} s of its own")
                    return
                continue
            if line is None:
                process.wait()
                told = b"".join(errors).decode(errors="replace")
                if word != "begin":
                    raise RuntimeError(
                        f"the process ended before its case began ({process.returncode}): {told[-3000:]}"
                    )
                yield Result(case, f"finding: the process ended with {process.returncode}: {told[-3000:]}")
                return
            word, number, outcome = json.loads(line)
            assert number == case.number
        yield Result(case, outcome)


def _hear(stream: object, heard: queue.Queue[bytes | None]) -> None:
    for line in stream:  # type: ignore[attr-defined]
        heard.put(line)
    heard.put(None)


def _give(stream: object, batch: list[Case]) -> None:
    try:
        for case in batch:
            stream.write((json.dumps(asdict(case)) + "\n").encode())  # type: ignore[attr-defined]
        stream.close()  # type: ignore[attr-defined]
    except BrokenPipeError:
        pass


def _cpu_seconds(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS
