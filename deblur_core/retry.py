"""Waiting between attempts at what may pass: longer each time, and never as long as others wait. Knows no store.

The wait is drawn evenly from nothing to its bound ("full jitter", M. Brooker, Exponential Backoff And Jitter, AWS
Architecture Blog 2015): many workers whom a store turned away at once do not come back at once.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deblur_core.errors import may_pass

Result = TypeVar("Result")


@dataclass(frozen=True)
class Backoff:
    """attempts: in all, the first one too; the bound of the waits is first_seconds, then twice that, up to
    most_seconds."""

    attempts: int
    first_seconds: float
    most_seconds: float

    def wait_seconds(self, failed: int, draw: Callable[[], float] = random.random) -> float | None:
        """How long to wait after `failed` attempts, None when there is no further one. draw: evenly from [0, 1)."""
        return None if failed >= self.attempts else self.pause_seconds(failed, draw)

    def pause_seconds(self, failed: int, draw: Callable[[], float] = random.random) -> float:
        """The same, however many attempts there are."""
        return draw() * min(self.first_seconds * 2.0 ** (failed - 1), self.most_seconds)


def attempted(act: Callable[[], Result], backoff: Backoff, sleep: Callable[[float], object] = time.sleep) -> Result:
    """What `act` returns, tried again while it raises what may pass. Raises its last error."""
    failed = 0
    while True:
        try:
            return act()
        except Exception as error:
            failed += 1
            seconds = backoff.wait_seconds(failed) if may_pass(error) else None
            if seconds is None:
                raise
            sleep(seconds)
