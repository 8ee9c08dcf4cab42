"""What a call has been through: when it goes alone, waits, or is at its end; a lost node counts against nobody."""

import pytest

from deblur_core.errors import DeadlineError, UnavailableError, WorkerKilledError
from deblur_core.retry import Backoff
from workers.job import SegmentTask, VideoTask
from workers.pool import Lost
from workers.results import Call
from workers.setbacks import MOST_DEATHS, MOST_LOSSES, Setbacks

VIDEO = VideoTask("films/a.mp4", "etag", 1000)
CALL = Call("deblur", SegmentTask(VIDEO, 0, 32, 64), order=7)
OTHER = Call("deblur", SegmentTask(VIDEO, 0, 0, 32), order=7)


def death(overdue: bool = False) -> Lost:
    return Lost(CALL, True, "out of memory", overdue)


def node_loss() -> Lost:
    return Lost(CALL, False, "its node died")


def test_a_call_that_may_have_killed_its_worker_goes_alone_from_then_on() -> None:
    setbacks = Setbacks()
    assert not setbacks.is_suspect(CALL)
    assert setbacks.lost(death()) is None
    assert setbacks.is_suspect(CALL)
    assert not setbacks.is_suspect(OTHER)
    assert setbacks.pause_seconds(CALL) == 0.0


@pytest.mark.parametrize(
    ("overdue", "kind", "words"),
    [
        (False, WorkerKilledError, "films/a.mp4: frames 32 to 63 killed its worker 3 times and is set aside"),
        (True, DeadlineError, "films/a.mp4: frames 32 to 63 did not end in time 3 times and is set aside"),
    ],
)
def test_the_third_death_ends_the_video(overdue: bool, kind: type[Exception], words: str) -> None:
    setbacks = Setbacks()
    ends = [setbacks.lost(death(overdue)) for _ in range(MOST_DEATHS)]
    assert ends[:-1] == [None] * (MOST_DEATHS - 1)
    assert type(ends[-1]) is kind
    assert words in str(ends[-1])


def test_lost_nodes_count_only_when_they_are_many_and_then_the_call_waits_and_goes_alone() -> None:
    setbacks = Setbacks(Backoff(5, 1e9, 1e9))
    for number in range(1, MOST_LOSSES):
        assert setbacks.lost(node_loss()) is None
        assert setbacks.is_suspect(CALL) is (number >= 3)
        assert (setbacks.pause_seconds(CALL) > 0.0) is (number > 3)
    assert "lost its worker 12 times" in str(setbacks.lost(node_loss()))


def test_what_may_pass_is_tried_a_bounded_number_of_times() -> None:
    setbacks = Setbacks(Backoff(4, 1.0, 8.0))
    error = UnavailableError("503")
    waits = [setbacks.failed(CALL, error) for _ in range(4)]
    assert waits[3] is None
    assert all(wait is not None and 0.0 <= wait <= 8.0 for wait in waits[:3])
    assert setbacks.failed(OTHER, ValueError("stays so")) is None
    assert not setbacks.is_suspect(CALL)


def test_what_a_video_went_through_is_forgotten_with_it() -> None:
    setbacks = Setbacks()
    setbacks.lost(death())
    setbacks.forget(CALL.order)
    assert not setbacks.is_suspect(CALL)
    assert setbacks.lost(death()) is None
