"""Who is suspected when an actor dies, and what is sent to whom after it: the pool's book-keeping, without Ray."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from workers import pool as pool_module
from workers.actors import ActorReport
from workers.job import Job, RestoreOptions, VideoTask
from workers.pool import Done, Lost, Pool
from workers.results import Call, Cost, Deblurred
from workers.sizing import POOLS, PoolSize

SPEC = next(spec for spec in POOLS if spec.name == "deblur")
JOB = Job("run", "source", "destination", "work", RestoreOptions())
CALM, DEADLY, LATE = (Call("deblur", VideoTask(name, "etag", 1)) for name in ("calm.mp4", "deadly.mp4", "late.mp4"))
DIED = ActorDiedError()
OUT_OF_SIGHT = ActorUnavailableError("out of reach", b"0" * 16)


@dataclass
class FakeRay:
    """Actors that answer when the test says so. answers: what `ray.get` gives, or raises, for each reference."""

    nodes: set[str] = field(default_factory=lambda: {"node"})
    answers: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[str, Any]] = field(default_factory=list)
    started: int = 0

    def start(self, *_: Any) -> Any:
        actor, self.started = f"actor {self.started}", self.started + 1
        report = ActorReport("node", 1, "", "cpu")
        self.answers[f"{actor} ready"] = report

        def run(stage: str, task: Any) -> str:
            self.sent.append((actor, task))
            return f"{actor} {task.video}"

        return SimpleNamespace(
            ready=SimpleNamespace(remote=lambda: f"{actor} ready"), run=SimpleNamespace(remote=run), name=actor
        )

    def get(self, reference: str) -> Any:
        answer = self.answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    ray = FakeRay()
    options = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=ray.start))
    monkeypatch.setattr(pool_module, "StageActor", options)
    monkeypatch.setattr(pool_module, "living_nodes", lambda: ray.nodes)
    monkeypatch.setattr(pool_module.ray, "get", ray.get)
    monkeypatch.setattr(pool_module.ray, "kill", lambda *_, **__: None)
    yield ray


def ready_pool(actors: int) -> Pool:
    pool = Pool(SPEC, JOB, "tests")
    pool.resize(PoolSize(actors, 0.0, 1.0))
    let_start(pool)
    return pool


def let_start(pool: Pool) -> None:
    for reference in [reference for reference in pool.references() if reference.endswith("ready")]:
        assert pool.collect(reference) == []


def test_both_calls_of_a_dead_actor_are_suspected(fake: FakeRay) -> None:
    pool = ready_pool(1)
    assert pool.send(CALM)
    assert pool.send(DEADLY)
    assert not pool.send(LATE)  # two calls are all that an actor takes
    fake.answers["actor 0 calm.mp4"] = DIED  # it had been done, but its answer died with the process
    events = pool.collect("actor 0 calm.mp4")
    assert [(event.call, event.suspected) for event in events if isinstance(event, Lost)] == [
        (CALM, True),
        (DEADLY, True),
    ]
    assert pool.collect("actor 0 deadly.mp4") == []


def test_a_suspect_goes_alone_to_an_actor_that_has_nothing_and_gets_nothing(fake: FakeRay) -> None:
    pool = ready_pool(2)
    assert pool.send(LATE)
    assert pool.send(DEADLY, alone=True)
    assert not pool.send(CALM, alone=True)  # neither actor is idle
    assert pool.send(CALM)
    assert [task.video for actor, task in fake.sent if actor == "actor 0"] == ["late.mp4", "calm.mp4"]
    fake.answers["actor 1 deadly.mp4"] = (Deblurred(1, 0), Cost(0.1, False))
    assert [type(event) for event in pool.collect("actor 1 deadly.mp4")] == [Done]
    assert pool.send(DEADLY)
    assert pool.send(CALM)  # the actor is like any other again


@pytest.mark.parametrize(("cause", "nodes"), [(OUT_OF_SIGHT, {"node"}), (DIED, {"another"})])
def test_nothing_is_suspected_of_what_its_node_may_have_done(fake: FakeRay, cause: Exception, nodes: set[str]) -> None:
    pool = ready_pool(1)
    assert pool.send(DEADLY)
    fake.nodes = nodes
    fake.answers["actor 0 deadly.mp4"] = cause
    (event,) = pool.collect("actor 0 deadly.mp4")
    assert isinstance(event, Lost)
    assert not event.suspected
    let_start(pool)
    assert pool.send(DEADLY)
    assert fake.sent[-1][0] == "actor 1"  # a dead actor is replaced
