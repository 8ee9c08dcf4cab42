"""A pool of like actors: keeps as many alive as it should, sends work only to those that said ready, two calls each.

Actors are never restarted by Ray and calls are never retried by it: a lost actor is replaced here and its calls go
back to the caller, who queues them again. What outlasts its deadline is ended by killing the actor. Knows nothing about
what the calls do.
"""

import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from deblur_core.errors import RestoreArchiveError
from workers.actors import ActorReport, StageActor
from workers.deadlines import NORMAL, Clock
from workers.job import Job
from workers.losses import LOSSES, in_words, is_proven
from workers.results import Call, Cost, StageResult
from workers.sizing import PoolSize, PoolSpec

log = logging.getLogger(__name__)

CALLS_PER_ACTOR = 2
_MOST_FAILED_STARTS = 3
_MOST_SLOW_STARTS = 2

Ref = Any  # ray.ObjectRef; Ray's own types are not exact


class PoolError(RestoreArchiveError):
    """Actors of a pool cannot start; the message says why."""


@dataclass(frozen=True)
class Done:
    """A call came back. `error` is what it raised, else `result` and `cost` are set."""

    call: Call
    result: StageResult | None = None
    cost: Cost | None = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Lost:
    """A call whose actor died. `suspected`: the process ended on a node that still lives, maybe because of the call.

    Of two calls that were with the actor either may be to blame: what the first one answered is lost when the second
    ends the process at once. So both are suspected, and each is sent alone from then on. Not so where the actor was
    killed because the first one did not end (`overdue`): the second had not begun.
    """

    call: Call
    suspected: bool
    cause: str
    overdue: bool = False


@dataclass(frozen=True)
class _Sent:
    """seconds: that it may take once the actor has begun it."""

    call: Call
    seconds: float


@dataclass
class _Member:
    handle: Any
    size: PoolSize
    nodes_at_start: set[str]
    asked_at: float
    slow_starts: int = 0
    report: ActorReport | None = None
    retired: bool = False
    exclusive: bool = False
    calls: "OrderedDict[Ref, _Sent]" = field(default_factory=OrderedDict)
    head_since: float = 0.0

    def take_back(self, reference: Ref, now: float) -> Call:
        """The call of this reference is over; if it was the first, the next one has begun meanwhile."""
        if reference == next(iter(self.calls)):
            self.head_since = now
        return self.calls.pop(reference).call


class Pool:
    """All actors of one kind. Not thread-safe: one loop owns it."""

    def __init__(
        self,
        spec: PoolSpec,
        job: Job,
        namespace: str,
        start_seconds: float = NORMAL.start,
        clock: Clock = time.monotonic,
    ) -> None:
        """start_seconds: until an actor that was asked for must be ready."""
        self.spec = spec
        self._job, self._namespace = job, namespace
        self._start_seconds, self._clock = start_seconds, clock
        self._members: dict[str, _Member] = {}
        self._starting: dict[Ref, str] = {}
        self._size = PoolSize(0, 0, 0)
        self._numbers = itertools.count()
        self._failed_starts = 0

    @property
    def reports(self) -> list[ActorReport]:
        """What the actors that are ready said of themselves."""
        return [member.report for member in self._members.values() if member.report is not None]

    @property
    def alive(self) -> int:
        """Actors that are ready or starting."""
        return sum(not member.retired for member in self._members.values())

    def resize(self, size: PoolSize) -> None:
        """Starts or retires actors until there are `size.count` of this size; a retired one finishes what it has.

        One that reserves other shares than now asked for is replaced: a whole GPU kept by an actor that should have
        three quarters of it would leave the other pools waiting for ever.
        """
        self._size = size
        active = [name for name, member in self._members.items() if not member.retired]
        fitting = [name for name in active if self._members[name].size.reserves == size.reserves]
        # Those that have not even started go first, then the least loaded.
        fitting.sort(key=lambda name: (self._members[name].report is not None, len(self._members[name].calls)))
        kept = fitting[max(len(fitting) - size.count, 0) :]
        for name in set(active).difference(kept):
            self._members[name].retired = True
            self._release_if_idle(name)
        for _ in range(size.count - len(kept)):
            self._start()

    def send(self, call: Call, seconds: float, alone: bool = False) -> bool:
        """Sends a call to the least loaded ready actor, `alone` to one that has and gets no other; False if none is.

        seconds: that it may take, from when the actor begins it.
        """
        most = 0 if alone else CALLS_PER_ACTOR - 1
        members = [member for member in self._ready_members() if len(member.calls) <= most]
        if not members:
            return False
        member = min(members, key=lambda member: len(member.calls))
        member.exclusive = alone
        if not member.calls:
            member.head_since = self._clock()
        reference = member.handle.run.remote(call.stage, call.task)
        member.calls[reference] = _Sent(call, seconds)
        return True

    def references(self) -> list[Ref]:
        """Everything that `ray.wait` should watch for this pool."""
        return [*self._starting, *(ref for member in self._members.values() for ref in member.calls)]

    def collect(self, reference: Ref) -> list[Done | Lost]:
        """Takes in a reference that `ray.wait` found ready. Raises PoolError when actors keep failing to start."""
        if reference in self._starting:
            return self._started(reference)
        for name, member in self._members.items():
            if reference in member.calls:
                return self._returned(name, member, reference)
        return []  # of an actor that was lost meanwhile

    def end_overdue(self) -> list[Done | Lost]:
        """Kills actors whose call, or whose start, has outlasted its deadline, once all that came back is taken in.

        Raises PoolError when no actor of the pool is ready and a second one did not become so in its place.
        """
        now, events = self._clock(), list[Done | Lost]()
        for name, member in list(self._members.items()):
            if member.report is None:
                if now - member.asked_at > self._start_seconds:
                    self._end_slow_start(name, member)
            elif member.calls:
                head = next(iter(member.calls.values()))
                if now - member.head_since > head.seconds:
                    cause = f"no end after {head.seconds:.0f} s"
                    events += self._lose(name, cause, suspects=[head.call], overdue=True)
        return events

    def stop(self) -> None:
        """Kills every actor at once."""
        for member in self._members.values():
            ray.kill(member.handle, no_restart=True)
        self._members.clear()
        self._starting.clear()

    def _ready_members(self) -> list[_Member]:
        return [
            member
            for member in self._members.values()
            if member.report is not None and not member.retired and not (member.exclusive and member.calls)
        ]

    def _start(self, slow_starts: int = 0) -> None:
        name = f"{self._job.run_id}-{self.spec.name}-{next(self._numbers)}"
        options = {"num_gpus": self._size.num_gpus, "num_cpus": self._size.num_cpus}
        actor = StageActor.options(  # type: ignore[attr-defined]
            name=name, namespace=self._namespace, **options
        ).remote(self._job, self.spec.stages, self._size.threads)
        self._members[name] = _Member(actor, self._size, living_nodes(), self._clock(), slow_starts)
        self._starting[actor.ready.remote()] = name

    def _started(self, reference: Ref) -> list[Done | Lost]:
        name = self._starting.pop(reference)
        member = self._members.get(name)
        try:
            report = cast(ActorReport, ray.get(reference))
        except RayError as cause:
            self._members.pop(name, None)
            if member is not None and not member.retired:
                self._failed_starts += is_proven(cause) and member.nodes_at_start <= living_nodes()
                if self._failed_starts >= _MOST_FAILED_STARTS:
                    raise PoolError(f"no {self.spec.name} actor can start: {in_words(cause)}") from cause
                self._start()
            return []
        self._failed_starts = 0
        if member is not None:
            member.report = report
            self._release_if_idle(name)
        return []

    def _returned(self, name: str, member: _Member, reference: Ref) -> list[Done | Lost]:
        try:
            result, cost = ray.get(reference)
        except RayTaskError as error:
            call = member.take_back(reference, self._clock())
            self._release_if_idle(name)
            return [Done(call, error=error.cause if isinstance(error.cause, BaseException) else error)]
        except LOSSES as cause:
            calls = [sent.call for sent in member.calls.values()] if is_proven(cause) else []
            return self._lose(name, in_words(cause), suspects=calls)
        except RayError as error:  # such as an exception that cannot be unpickled here
            call = member.take_back(reference, self._clock())
            self._release_if_idle(name)
            return [Done(call, error=error)]
        call = member.take_back(reference, self._clock())
        self._release_if_idle(name)
        return [Done(call, result, cost)]

    def _lose(self, name: str, cause: str, suspects: Collection[Call], overdue: bool = False) -> list[Done | Lost]:
        """An actor died, or has to: its calls go back, and some are suspected of having ended it.

        None is when its node is gone, nor when the actor merely cannot be reached: that is how a node's sudden end
        first looks, for some 15 s during which Ray still lists it as alive.
        """
        member = self._members.pop(name)
        ray.kill(member.handle, no_restart=True)  # one out of reach may live on, and hold a GPU
        node_alive = member.report is not None and member.report.node_id in living_nodes()
        if not member.retired:
            self._start()
        lost = []
        for sent in member.calls.values():
            suspected = node_alive and sent.call in suspects
            lost.append(Lost(sent.call, suspected, cause, overdue and suspected))
        return list(lost)

    def _end_slow_start(self, name: str, member: _Member) -> None:
        """Another may have more luck elsewhere; while others work, one that cannot start does no harm."""
        slow_starts = member.slow_starts + 1
        if slow_starts >= _MOST_SLOW_STARTS and not self.reports:
            raise PoolError(
                f"no {self.spec.name} actor was ready {self._start_seconds:.0f} s after it was asked for, twice: the "
                f"cluster has no node with {self._size.num_gpus:g} GPUs and {self._size.num_cpus:g} cores free for it, "
                "or loading its models hangs; see `ray status` and the actor's log"
            )
        log.warning("a %s actor was not ready in %.0f s; another is started", self.spec.name, self._start_seconds)
        del self._members[name]
        self._starting = {ref: owner for ref, owner in self._starting.items() if owner != name}
        ray.kill(member.handle, no_restart=True)
        self._start(slow_starts)

    def _release_if_idle(self, name: str) -> None:
        member = self._members[name]
        if member.retired and not member.calls:
            del self._members[name]
            self._starting = {ref: owner for ref, owner in self._starting.items() if owner != name}
            ray.kill(member.handle, no_restart=True)


def living_nodes() -> set[str]:
    """Ids of the nodes that Ray takes for alive."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
