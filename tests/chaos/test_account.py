"""What is told of each fault from the events of a trial, and that work done twice is seen."""

from itertools import count
from typing import Any

from tests.chaos.account import (
    FAILED_FIRST,
    FOUND,
    IDLE,
    NEXT_RUN,
    NOTHING_LEFT,
    SAME_PROCESS,
    SAME_RUN,
    SAME_RUN_OBJECT,
    Injection,
    injections,
)
from tests.chaos.judge import done_twice

_moments = count(1)


def event(what: str, pid: int = 1, run: str = "first", first: int = 0, **facts: Any) -> dict[str, Any]:
    call = {"stage": "deblur", "video": "a.mp4", "version": "1", "first": first, "stop": first + 12}
    told = {} if what == "fault" else call
    return {"what": what, "at": float(next(_moments)), "pid": pid, "run": run, **told, **facts}


def test_a_killed_call_is_done_again_in_the_same_run() -> None:
    told = [
        event("begin"),
        event("fault", kind="kill"),
        event("begin", pid=2),
        event("done", pid=2, reused=False),
    ]
    assert injections(told) == [Injection("kill", SAME_RUN, 2.0, in_flight=1, redone=1)]


def test_a_call_whose_output_was_there_is_not_counted_as_redone() -> None:
    told = [event("begin"), event("fault", kind="kill"), event("begin", pid=2), event("done", pid=2, reused=True)]
    assert injections(told) == [Injection("kill", FOUND, 2.0, in_flight=1, redone=0)]


def test_what_a_killed_driver_had_in_flight_is_done_by_the_next_run() -> None:
    told = [
        event("begin"),
        event("begin", pid=2, first=12),
        event("done", pid=2, first=12, reused=False),
        event("begin", pid=2, first=24),
        event("fault", kind="driver", pid=99, victim_run="first"),
        event("begin", pid=3, run="second"),
        event("done", pid=3, run="second", reused=False),
        event("begin", pid=4, run="second", first=24),
        event("done", pid=4, run="second", first=24, reused=False),
    ]
    assert injections(told) == [Injection("driver", NEXT_RUN, 4.0, in_flight=2, redone=2)]


def test_what_actors_still_did_after_their_driver_the_next_run_has_to_find() -> None:
    told = [
        event("begin"),
        event("fault", kind="driver", pid=99, victim_run="first"),
        event("done", reused=False),
        event("ended", run="first", code=-9),
        event("begin", pid=3, run="second"),
        event("done", pid=3, run="second", reused=True),
    ]
    assert injections(told) == [Injection("driver", NEXT_RUN, 4.0, in_flight=1, redone=0)]


def test_of_a_run_that_ended_what_its_actors_still_published_is_done() -> None:
    told = [
        event("begin"),
        event("fault", kind="head", pid=99, victim_run="first"),
        event("done", reused=False),
        {**event("done", reused=False), "stage": "publish"},
        event("ended", run="first", code=1),
        {**event("done", run="second", reused=True), "stage": "plan"},
    ]
    assert injections(told) == [Injection("head", NEXT_RUN, 1.0, in_flight=1, redone=0)]


def test_of_a_run_that_lives_only_what_was_interrupted_was_hit() -> None:
    told = [
        event("begin"),
        event("begin", pid=2, first=12),
        event("fault", kind="node", pid=99, victim_run="first"),
        event("done", reused=False),
        event("begin", pid=3, first=12),
        event("done", pid=3, first=12, reused=False),
    ]
    assert injections(told) == [Injection("node", SAME_RUN, 3.0, in_flight=1, redone=1)]
    assert injections(told[:1] + told[2:4]) == [Injection("node", SAME_PROCESS, 1.0, in_flight=1, redone=0)]


def test_a_kill_after_the_put_and_before_the_answer_hits_that_call() -> None:
    call = {"stage": "deblur", "video": "a.mp4", "version": "1", "first": 0, "stop": 12}
    told = [
        event("begin"),
        event("done", reused=False),
        {**event("fault", kind="kill"), **call},
        event("begin", pid=2),
        event("done", pid=2, reused=True),
    ]
    assert injections(told) == [Injection("kill", FOUND, 2.0, in_flight=1, redone=0)]


def test_a_video_set_aside_is_told_from_a_run_that_ended() -> None:
    told = [
        event("begin"),
        event("fault", kind="poison"),
        event("ended", run="first", code=3),
        event("begin", pid=2, run="second"),
        event("done", pid=2, run="second", reused=False),
    ]
    assert injections(told)[0].outcome == FAILED_FIRST
    told[2] = {**told[2], "code": 1}
    assert injections(told)[0].outcome == NEXT_RUN


def test_a_fault_that_lasts_hit_what_failed_on_it() -> None:
    told = [
        event("fault", kind="full", pid=99, victim_run="first", lasts=True),
        event("begin"),
        event("raised", error="no room"),
        event("begin"),
        event("done", reused=False),
        event("ended", run="first", code=3),
    ]
    assert injections(told) == [Injection("full", SAME_RUN, 4.0, in_flight=1, redone=1)]


def test_a_fault_in_the_driver_is_over_when_its_object_is_written() -> None:
    told = [event("fault", kind="records", object="records"), event("kept", object="records")]
    assert injections(told) == [Injection("records", SAME_RUN_OBJECT, 1.0)]
    told[1] = {**told[1], "run": "second"}
    assert injections(told) == [Injection("records", NEXT_RUN, 1.0)]
    assert injections(told[:1]) == [Injection("records", NOTHING_LEFT, None)]


def test_a_kill_of_somebody_without_a_call_hit_nothing() -> None:
    told = [event("fault", kind="kill"), event("begin", pid=2)]
    assert injections(told) == [Injection("kill", IDLE, 1.0)]


def test_a_call_that_another_process_has_ended_is_not_in_flight() -> None:
    told = [
        event("begin"),
        event("fault", kind="node", pid=99, victim_run="first"),
        event("begin", pid=2),
        event("done", pid=2, reused=False),
        event("fault", kind="node", pid=99, victim_run="first"),
        event("begin", pid=2, first=12),
    ]
    assert [each.in_flight for each in injections(told)] == [1, 0]


def test_a_call_that_raised_and_was_done_by_the_next_run_had_failed_its_video() -> None:
    told = [
        event("begin"),
        event("fault", kind="memory"),
        event("raised", error="MemoryError"),
        event("begin", run="second"),
        event("done", run="second", reused=False),
    ]
    (found,) = injections(told)
    assert (found.outcome, found.wrong) == (FAILED_FIRST, "")


def test_a_call_that_is_never_done_does_not_hold() -> None:
    (found,) = injections([event("begin"), event("fault", kind="kill")])
    assert found.wrong


def test_who_put_it_in_may_tell_what_became_of_it() -> None:
    (found,) = injections([event("fault", kind="S3: 500", outcome="asked again", seconds=0.5)])
    assert found == Injection("S3: 500", "asked again", 0.5)


def test_what_had_ended_and_is_done_again_is_found() -> None:
    told = [event("begin"), event("done", reused=False), event("begin", pid=2), event("done", pid=2, reused=False)]
    assert len(done_twice(told)) == 1
    assert done_twice(told[:2]) == []
    assert done_twice([*told[:3], event("done", pid=2, reused=True)]) == []
