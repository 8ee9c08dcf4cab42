"""Which calls a video allows after each result: the order of its stages, its segments and its end."""

from collections.abc import Sequence

import pytest

from workers.job import VideoTask
from workers.results import Call, Planned
from workers.video_state import VideoState

VIDEO = VideoTask("a/clip.mp4", "etag", 1000)


def planned(*segments: tuple[int, int]) -> VideoState:
    state = VideoState(VIDEO, 0)
    state.planned(Planned(segments, None, None))
    return state


def spans(calls: Sequence[Call], stage: str) -> list[tuple[int, int]]:
    return [(call.task.first_frame, call.task.stop_frame) for call in calls if call.stage == stage]


def test_a_planned_video_can_be_classified_everywhere_at_once() -> None:
    state = VideoState(VIDEO, 0)
    calls = state.planned(Planned(((0, 100), (100, 250)), None, None))
    assert spans(calls, "classify") == [(0, 100), (100, 250)]
    assert len(calls) == 2


def test_a_segment_is_deblurred_only_once_both_its_neighbours_are_labelled() -> None:
    state = planned((0, 30), (30, 60), (60, 90))
    assert state.classified(1, (5,)) == []
    assert spans(state.classified(0, (5,)), "deblur") == [(0, 30)]
    assert spans(state.classified(2, (5,)), "deblur") == [(30, 60), (60, 90)]


def test_a_segment_is_not_deblurred_twice_when_a_neighbour_is_labelled_later() -> None:
    state = planned((0, 30), (30, 60), (60, 90))
    state.classified(0, (5,))
    first = spans(state.classified(1, (5,)), "deblur")
    second = spans(state.classified(2, (5,)), "deblur")
    assert first == [(0, 30)]
    assert second == [(30, 60), (60, 90)]


def test_only_spans_with_blurred_frames_are_deblurred() -> None:
    state = planned((0, 100))
    assert spans(state.classified(0, (3, 0, 0, 1)), "deblur") == [(0, 32), (96, 100)]


def test_a_video_without_blurred_frames_is_published_without_being_encoded() -> None:
    state = planned((0, 30), (30, 60))
    assert state.classified(0, (0,)) == []
    assert state.classified(1, (0,)) == [Call("publish", VIDEO)]


def test_a_video_of_which_every_restored_frame_was_rejected_is_published_without_being_encoded() -> None:
    state = planned((0, 30))
    state.classified(0, (9,))
    assert state.deblurred(0, restored=0) == [Call("publish", VIDEO)]


def test_the_first_restored_frame_releases_the_segments_that_waited_untouched() -> None:
    state = planned((0, 30), (30, 60), (60, 90))
    state.classified(0, (0,))
    state.classified(1, (7,))
    assert spans(state.classified(2, (0,)), "assemble") == []
    assert spans(state.deblurred(1, restored=7), "assemble") == [(0, 30), (30, 60), (60, 90)]


def test_a_segment_is_encoded_after_the_last_of_its_spans() -> None:
    state = planned((0, 64))
    state.classified(0, (1, 1))
    assert state.deblurred(0, restored=1) == []
    assert spans(state.deblurred(0, restored=0), "assemble") == [(0, 64)]


def test_a_segment_that_is_still_being_restored_does_not_keep_the_others_from_being_encoded() -> None:
    state = planned((0, 30), (30, 60))
    state.classified(0, (1,))
    state.classified(1, (1,))
    assert spans(state.deblurred(1, restored=1), "assemble") == [(30, 60)]
    assert spans(state.deblurred(0, restored=0), "assemble") == [(0, 30)]


def test_it_is_published_once_after_the_last_part() -> None:
    state = planned((0, 30), (30, 60))
    state.classified(0, (1,))
    state.classified(1, (0,))
    state.deblurred(0, restored=1)
    assert state.encoded(1) == []
    assert state.encoded(0) == [Call("publish", VIDEO)]
    assert state.encoded(0) == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_whatever_the_order_of_results_each_call_is_made_once(order: tuple[int, ...]) -> None:
    state = planned(*((start, start + 30) for start in range(0, 120, 30)))
    made: list[Call] = []
    for number in order:
        made += state.classified(number, (1 if number % 2 else 0,))
    for number in (3, 1):
        made += state.deblurred(number, restored=1)
    for number in order:
        made += state.encoded(number)
    assert sorted(spans(made, "deblur")) == [(30, 60), (90, 120)]
    assert sorted(spans(made, "assemble")) == [(0, 30), (30, 60), (60, 90), (90, 120)]
    assert made.count(Call("publish", VIDEO)) == 1
    assert made[-1] == Call("publish", VIDEO)
