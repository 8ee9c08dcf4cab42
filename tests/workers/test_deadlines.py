"""How long a call may take: more for more work, never less than the floor, and not while nobody listened."""

import pytest

from workers.deadlines import NORMAL, PatientClock
from workers.job import SegmentTask, VideoTask
from workers.results import Call, Planned
from workers.video_state import VideoState

MEBIBYTE = 1 << 20


def planned(pixels: int = 1280 * 720, segments: int = 3, mebibytes: int = 100) -> VideoState:
    state = VideoState(VideoTask("clip.mp4", "etag", mebibytes * MEBIBYTE), 0)
    spans = tuple((300 * number, 300 * number + 300) for number in range(segments))
    state.planned(Planned(spans, None, None, pixels))
    return state


def calls(state: VideoState) -> dict[str, Call]:
    segment = state.segments[0]
    span = SegmentTask(state.task, 0, 0, 32)
    return {
        "plan": Call("plan", state.task),
        "classify": Call("classify", segment, frames=300),
        "deblur": Call("deblur", span, frames=32),
        "assemble": Call("assemble", segment, frames=300),
        "publish": Call("publish", state.task),
    }


STAGES = ("plan", "classify", "deblur", "assemble", "publish")


@pytest.mark.parametrize("stage", STAGES)
def test_every_call_has_the_floor_and_more(stage: str) -> None:
    state = planned()
    assert NORMAL.of(calls(state)[stage], state, 5.0) > NORMAL.call_seconds


@pytest.mark.parametrize("stage", ["classify", "deblur", "assemble", "publish"])
def test_larger_frames_get_longer(stage: str) -> None:
    small, large = planned(), planned(pixels=3840 * 2160)
    assert NORMAL.of(calls(large)[stage], large, 5.0) > NORMAL.of(calls(small)[stage], small, 5.0)


@pytest.mark.parametrize("stage", ["plan", "publish"])
def test_calls_that_read_the_whole_source_get_longer_for_a_larger_one(stage: str) -> None:
    small, large = planned(), planned(mebibytes=10_000)
    assert NORMAL.of(calls(large)[stage], large) >= NORMAL.of(calls(small)[stage], small) + 9_900


def test_publish_gets_longer_for_more_frames_and_deblur_for_a_heavier_network() -> None:
    short, long = planned(segments=1), planned(segments=1000)
    assert NORMAL.of(calls(long)["publish"], long) > NORMAL.of(calls(short)["publish"], short) + 10_000
    deblur = calls(short)["deblur"]
    assert NORMAL.of(deblur, short, 50.0) > 3 * NORMAL.of(deblur, short, 1.0)


def test_tiny_frames_are_not_given_less_than_those_of_a_megapixel() -> None:
    tiny, usual = planned(pixels=64 * 48), planned(pixels=1_000_000)
    assert NORMAL.of(calls(tiny)["classify"], tiny) == NORMAL.of(calls(usual)["classify"], usual)


def test_one_factor_stretches_all_of_them() -> None:
    state, twice = planned(), NORMAL.times(2.0)
    assert twice.start == 2 * NORMAL.start
    for call in calls(state).values():
        assert twice.of(call, state, 5.0) == pytest.approx(2 * NORMAL.of(call, state, 5.0))


def test_a_driver_that_was_stopped_for_an_hour_has_seen_five_seconds_go_by() -> None:
    seconds = iter([100.0, 101.0, 103.5, 3700.0, 3701.0])
    clock = PatientClock(lambda: next(seconds))
    assert [clock() for _ in range(4)] == [1.0, 3.5, 8.5, 9.5]


def test_a_clock_that_goes_back_counts_nothing() -> None:
    seconds = iter([100.0, 101.0, 50.0, 52.0])
    clock = PatientClock(lambda: next(seconds))
    assert [clock() for _ in range(3)] == [1.0, 1.0, 3.0]
