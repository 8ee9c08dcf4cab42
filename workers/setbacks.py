"""What calls have been through: who is suspected of killing workers, who waits for a store, and when it is enough.

Bookkeeping of the pipeline, one entry for each call that met trouble, until its video ends. Knows no Ray.
"""

from collections import defaultdict
from dataclasses import dataclass

from deblur_core.errors import DeadlineError, RestoreArchiveError, WorkerKilledError, may_pass
from deblur_core.retry import Backoff
from workers.job import SegmentTask
from workers.pool import Lost
from workers.results import Call

MOST_DEATHS = 3
"""Of workers that a call is suspected of, before its video is set aside."""

MOST_LOSSES = 12
"""Of workers in all. That a node is lost counts against nobody, unless it happens to one call this often: where a
worker has a machine or a container to itself, running out of memory looks like that."""

_LOSSES_OF_A_SUSPECT = 3

BACKOFF = Backoff(attempts=5, first_seconds=4.0, most_seconds=60.0)
"""Of a call that failed on what may pass, such as a store that did not answer although it was asked five times."""


@dataclass
class _Trouble:
    deaths: int = 0
    losses: int = 0
    failures: int = 0


class Setbacks:
    """Decides, after each, whether a call is tried again."""

    def __init__(self, backoff: Backoff = BACKOFF) -> None:
        self._backoff = backoff
        # By the order of the video, to be forgotten with it.
        self._troubles: defaultdict[int, dict[Call, _Trouble]] = defaultdict(dict)

    def is_suspect(self, call: Call) -> bool:
        """Whether it may have ended a worker: then it goes alone. Not for a node or two that were lost with it."""
        trouble = self._troubles.get(call.order, {}).get(call)
        return trouble is not None and (trouble.deaths > 0 or trouble.losses >= _LOSSES_OF_A_SUSPECT)

    def lost(self, event: Lost) -> RestoreArchiveError | None:
        """What ends the call's video; None: the call is done again."""
        trouble = self._of(event.call)
        trouble.losses += 1
        trouble.deaths += event.suspected
        what = _described(event.call)
        if trouble.deaths >= MOST_DEATHS and event.overdue:
            return DeadlineError(f"{what} did not end in time {MOST_DEATHS} times and is set aside ({event.cause})")
        if trouble.deaths >= MOST_DEATHS:
            return WorkerKilledError(f"{what} killed its worker {MOST_DEATHS} times and is set aside ({event.cause})")
        if trouble.losses >= MOST_LOSSES:
            return WorkerKilledError(
                f"{what} lost its worker {MOST_LOSSES} times, with the node or out of reach, and is set aside "
                f"({event.cause})"
            )
        return None

    def pause_seconds(self, call: Call) -> float:
        """Before a call that lost its worker is done again: none at first, then longer and longer."""
        losses = self._of(call).losses
        return self._backoff.pause_seconds(losses - _LOSSES_OF_A_SUSPECT) if losses > _LOSSES_OF_A_SUSPECT else 0.0

    def failed(self, call: Call, error: BaseException) -> float | None:
        """Seconds after which the call is tried again; None: its error is the video's end."""
        if not may_pass(error):
            return None
        trouble = self._of(call)
        trouble.failures += 1
        return self._backoff.wait_seconds(trouble.failures)

    def forget(self, order: int) -> None:
        """The video has ended."""
        self._troubles.pop(order, None)

    def _of(self, call: Call) -> _Trouble:
        return self._troubles[call.order].setdefault(call, _Trouble())


def _described(call: Call) -> str:
    task = call.task
    if isinstance(task, SegmentTask):
        return f"{task.video.video}: frames {task.first_frame} to {task.stop_frame - 1}"
    return str(task.video)
