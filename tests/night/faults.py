"""Ends actors of a run from outside, one after the other, all night long. Knows them by what the sampler sees.

Mostly the youngest of those that deblur: the oldest then lives through the night, and shows what grows. One of every
eight ends the oldest of the others, so that these take turns.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from tests.night.sampler import DEBLUR, OTHER_ACTOR, Sampler

_SIGNALS = (signal.SIGKILL, signal.SIGSEGV)
_OTHERS_EVERY = 8


class Faults:
    """Kills in a thread of its own while it is open. told: (seconds, role, signal) of each."""

    def __init__(self, sampler: Sampler, every_seconds: float) -> None:
        self.told: list[tuple[float, str, str]] = []
        self._sampler, self._every, self._began = sampler, every_seconds, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="faults", daemon=True)

    def __enter__(self) -> Faults:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def strike(self) -> None:
        """Ends one actor; none where fewer than two of its role could go on without it, if it deblurs."""
        others = len(self.told) % _OTHERS_EVERY == _OTHERS_EVERY - 1
        role = OTHER_ACTOR if others else DEBLUR
        living = sorted((age, process) for process, (found, age) in self._sampler.actors().items() if found == role)
        if not living or (role == DEBLUR and len(living) < 2):
            return
        _, process = living[-1] if others else living[0]
        sent = _SIGNALS[len(self.told) % len(_SIGNALS)]
        with suppress(ProcessLookupError):
            os.kill(process, sent)
            self.told.append((time.monotonic() - self._began, role, sent.name))

    def _keep(self) -> None:
        while not self._over.wait(self._every):
            self.strike()
