"""Calls that wait for a place in a pool, the most urgent first, and those that wait for their time to come."""

import heapq
import itertools
from collections.abc import Iterator, Mapping

from workers.deadlines import Clock
from workers.job import SegmentTask
from workers.results import Call

# Within the media pool: planning feeds everything else, publishing frees temporary data.
_URGENCY = {"plan": 0, "publish": 1, "assemble": 2, "classify": 0, "deblur": 0}


class CallQueue:
    """By stage, then the longest video first, then in the order of its frames. pool_of: the pool of each stage."""

    def __init__(self, pool_of: Mapping[str, str], clock: Clock) -> None:
        self._pool_of, self._clock = pool_of, clock
        self._queues: dict[str, list[tuple[int, int, int, int, Call]]] = {name: [] for name in set(pool_of.values())}
        self._later: list[tuple[float, int, Call]] = []
        self._tie = itertools.count()

    def push(self, call: Call, after_seconds: float = 0.0) -> None:
        """Queues a call, at once or when some time has gone by."""
        if after_seconds > 0.0:
            heapq.heappush(self._later, (self._clock() + after_seconds, next(self._tie), call))
            return
        place = call.task.first_frame if isinstance(call.task, SegmentTask) else -1
        entry = (_URGENCY[call.stage], call.order, place, next(self._tie), call)
        heapq.heappush(self._queues[self._pool_of[call.stage]], entry)

    def heads(self, pool: str) -> Iterator[Call]:
        """What is next for a pool, again and again; a call is taken out when the next one is asked for."""
        self._wake()
        queue = self._queues[pool]
        while queue:
            yield queue[0][-1]
            heapq.heappop(queue)

    def _wake(self) -> None:
        while self._later and self._later[0][0] <= self._clock():
            self.push(heapq.heappop(self._later)[-1])
