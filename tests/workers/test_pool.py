"""Who is suspected when an actor dies, and what is sent to whom after it: the pool's book-keeping, without Ray."""

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from tests.workers.fake_ray import FakeRay, installed
from workers.job import Job, RestoreOptions, VideoTask
from workers.pool import Done, Lost, Pool, PoolError
from workers.results import Call, Cost, Deblurred
from workers.sizing import POOLS, PoolSize

SPEC = next(spec for spec in POOLS if spec.name == "deblur")
JOB = Job("run", "source", "destination", "work", RestoreOptions())
CALM, DEADLY, LATE = (Call("deblur", VideoTask(name, "etag", 1)) for name in ("calm.mp4", "deadly.mp4", "late.mp4"))
DIED = ActorDiedError()
START_SECONDS, CALL_SECONDS = 100.0, 60.0
OUT_OF_SIGHT = ActorUnavailableError("out of reach", b"0" * 16)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    return installed(monkeypatch)


def ready_pool(actors: int, fake: FakeRay | None = None) -> Pool:
    clock = fake.clock if fake is not None else lambda: 0.0
    pool = Pool(SPEC, JOB, "tests", START_SECONDS, clock)
    pool.resize(PoolSize(actors, 0.0, 1.0))
    let_start(pool)
    return pool


def let_start(pool: Pool) -> None:
    for reference in [reference for reference in pool.references() if reference.endswith("ready")]:
        assert pool.collect(reference) == []


def send(pool: Pool, call: Call, alone: bool = False) -> bool:
    return pool.send(call, CALL_SECONDS, alone)


def lost(events: list[Done | Lost]) -> list[tuple[Call, bool, bool]]:
    assert all(isinstance(event, Lost) for event in events)
    return [(event.call, event.suspected, event.overdue) for event in events if isinstance(event, Lost)]


def test_both_calls_of_a_dead_actor_are_suspected(fake: FakeRay) -> None:
    pool = ready_pool(1)
    assert send(pool, CALM)
    assert send(pool, DEADLY)
    assert not send(pool, LATE)  # two calls are all that an actor takes
    fake.answers["actor 0 calm.mp4"] = DIED  # it had been done, but its answer died with the process
    events = pool.collect("actor 0 calm.mp4")
    assert [(event.call, event.suspected) for event in events if isinstance(event, Lost)] == [
        (CALM, True),
        (DEADLY, True),
    ]
    assert pool.collect("actor 0 deadly.mp4") == []


def test_a_suspect_goes_alone_to_an_actor_that_has_nothing_and_gets_nothing(fake: FakeRay) -> None:
    pool = ready_pool(2)
    assert send(pool, LATE)
    assert send(pool, DEADLY, alone=True)
    assert not send(pool, CALM, alone=True)  # neither actor is idle
    assert send(pool, CALM)
    assert [task.video for actor, task in fake.sent if actor == "actor 0"] == ["late.mp4", "calm.mp4"]
    fake.answers["actor 1 deadly.mp4"] = (Deblurred(1, 0), Cost(0.1, False))
    assert [type(event) for event in pool.collect("actor 1 deadly.mp4")] == [Done]
    assert send(pool, DEADLY)
    assert send(pool, CALM)  # the actor is like any other again


@pytest.mark.parametrize(("cause", "nodes"), [(OUT_OF_SIGHT, {"node"}), (DIED, {"another"})])
def test_nothing_is_suspected_of_what_its_node_may_have_done(fake: FakeRay, cause: Exception, nodes: set[str]) -> None:
    pool = ready_pool(1)
    assert send(pool, DEADLY)
    fake.nodes = nodes
    fake.answers["actor 0 deadly.mp4"] = cause
    (event,) = pool.collect("actor 0 deadly.mp4")
    assert isinstance(event, Lost)
    assert not event.suspected
    let_start(pool)
    assert send(pool, DEADLY)
    assert fake.sent[-1][0] == "actor 1"  # a dead actor is replaced


def test_a_call_that_does_not_end_is_ended_and_only_it_is_suspected(fake: FakeRay) -> None:
    pool = ready_pool(1, fake)
    assert send(pool, DEADLY)
    assert send(pool, CALM)
    fake.seconds = CALL_SECONDS
    assert pool.end_overdue() == []
    fake.seconds += 1
    assert lost(pool.end_overdue()) == [(DEADLY, True, True), (CALM, False, False)]
    assert fake.killed == ["actor 0"]
    let_start(pool)
    assert send(pool, DEADLY)
    assert fake.sent[-1][0] == "actor 1"


def test_the_deadline_of_a_call_runs_from_when_the_one_before_it_is_over(fake: FakeRay) -> None:
    pool = ready_pool(1, fake)
    assert send(pool, CALM)
    assert send(pool, LATE)
    fake.seconds = CALL_SECONDS - 1
    fake.answers["actor 0 calm.mp4"] = (Deblurred(1, 0), Cost(0.1, False))
    assert [type(event) for event in pool.collect("actor 0 calm.mp4")] == [Done]
    fake.seconds += CALL_SECONDS
    assert pool.end_overdue() == []
    fake.seconds += 1
    assert lost(pool.end_overdue()) == [(LATE, True, True)]


def test_a_call_that_did_not_end_on_a_node_that_is_gone_is_not_suspected(fake: FakeRay) -> None:
    pool = ready_pool(1, fake)
    assert send(pool, CALM)
    fake.nodes, fake.seconds = {"another"}, CALL_SECONDS + 1
    assert lost(pool.end_overdue()) == [(CALM, False, False)]


def test_an_actor_that_does_not_become_ready_is_replaced_and_then_ends_the_run(fake: FakeRay) -> None:
    fake.ready = False
    pool = Pool(SPEC, JOB, "tests", START_SECONDS, fake.clock)
    pool.resize(PoolSize(1, 0.75, 1.0))
    fake.seconds = START_SECONDS + 1
    assert pool.end_overdue() == []
    assert (fake.killed, fake.started) == (["actor 0"], 2)
    fake.seconds += START_SECONDS + 1
    with pytest.raises(PoolError, match=r"no deblur actor was ready 100 s after .* 0\.75 GPUs and 1 cores free"):
        pool.end_overdue()


def test_an_actor_that_does_not_become_ready_beside_others_that_work_does_no_harm(fake: FakeRay) -> None:
    pool = ready_pool(1, fake)
    fake.ready = False
    pool.resize(PoolSize(2, 0.0, 1.0))
    for _ in range(4):
        fake.seconds += START_SECONDS + 1
        assert pool.end_overdue() == []
    assert fake.started == 6
    assert send(pool, CALM)
