"""Takes back what an encoder does to its process's place in the queue for the processor.

SVT-AV1, where it may (as root), makes the thread that opens it real-time at the highest priority, and the threads that
it starts inherit that: they then go before everything on the machine, and so does every process started from them. An
archive's nightly work must stand behind, not before. Knows no codec.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """At its end this thread is scheduled as at its beginning, and so is each thread of the process that was not so."""
    if not hasattr(os, "sched_getscheduler"):  # not Linux: nothing there raises itself
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            with _ONE_AT_A_TIME:
                for task in Path("/proc/self/task").iterdir():
                    with suppress(ProcessLookupError):
                        if os.sched_getscheduler(int(task.name)) != policy:
                            os.sched_setscheduler(int(task.name), policy, parameter)
