"""Keys and hashes: what makes an earlier result count again, and what makes it be made anew."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from deblur_core.models.registry import find_restorer, released_hash
from deblur_core.verdict import VerdictLimits
from workers.job import (
    DEBLUR_FRAMES,
    FRAMES_VERSION,
    Job,
    RestoreOptions,
    SegmentTask,
    VideoTask,
    deblur_spans,
    new_run_id,
)

VIDEO = VideoTask("films/a.mp4", "etag-1", 1000)
JOB = Job("run", "/in", "/out", "/work", RestoreOptions())


def with_options(**changes: Any) -> Job:
    return replace(JOB, options=replace(JOB.options, **changes))


def hashes(job: Job) -> tuple[str, str, str]:
    return job.labels_hash, job.frames_hash, job.fingerprint


def changed(job: Job) -> tuple[bool, bool, bool]:
    """Whether labels, restored frames and the published video are others than those of JOB."""
    labels, frames, video = (mine != theirs for mine, theirs in zip(hashes(job), hashes(JOB), strict=True))
    return labels, frames, video


@pytest.mark.parametrize("option", [{"stride": 15}, {"segment_frames": 100}])
def test_what_the_selector_sees_changes_everything(option: dict[str, int]) -> None:
    assert changed(with_options(**option)) == (True, True, True)


@pytest.mark.parametrize("option", [{"threshold": 0.4}, {"limits": VerdictLimits(sharpness_gain=1.1)}])
def test_threshold_and_limits_leave_the_labels_as_they_are(option: dict[str, Any]) -> None:
    assert changed(with_options(**option)) == (False, True, True)


def test_slow_motion_leaves_the_labels_as_they_are() -> None:
    assert changed(with_options(slow_motion=7)) == (False, True, True)


def test_without_slow_motion_what_was_restored_before_there_was_any_counts() -> None:
    options = JOB.options
    weights = released_hash(find_restorer(options.restorer).weights)
    before = JOB._hash(
        FRAMES_VERSION, JOB.labels_hash, options.threshold, options.restorer, weights, asdict(options.limits)
    )
    assert JOB.frames_hash == before


@pytest.mark.parametrize("option", [{"codec": "hevc"}, {"crf": 18.0}, {"reencode": True}])
def test_the_encoding_leaves_labels_and_restored_frames_as_they_are(option: dict[str, Any]) -> None:
    assert changed(with_options(**option)) == (False, False, True)


def test_weights_of_one_s_own_leave_the_labels_as_they_are() -> None:
    assert changed(with_options(weights="/w.safetensors", weights_sha256="5" * 64)) == (False, True, True)


def test_where_own_weights_lie_changes_nothing() -> None:
    one, other = (with_options(weights=path, weights_sha256="5" * 64) for path in ("/a.safetensors", "/b.safetensors"))
    assert hashes(one) == hashes(other)


def test_other_weights_of_the_restorer_leave_the_labels_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    before, restorer = hashes(JOB), find_restorer("default").weights
    monkeypatch.setattr("workers.job.released_hash", lambda name: "new" if name == restorer else released_hash(name))
    after = hashes(JOB)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]


def test_place_device_and_run_change_nothing() -> None:
    elsewhere = replace(JOB, run_id="other", source_url="s3://b", destination_url="s3://c", work_url="/w", device="cpu")
    assert hashes(elsewhere) == hashes(JOB)


def test_force_makes_everything_anew_and_later_runs_know_it_as_done() -> None:
    forced = replace(JOB, salt="run-2")
    works = [(job.labels_hash, job.frames_hash, job.parts_hash) for job in (JOB, forced)]
    assert all(mine != theirs for mine, theirs in zip(*works, strict=True))
    assert (forced.fingerprint, forced.unforced) == (JOB.fingerprint, JOB)


def test_another_version_of_a_video_shares_no_key_with_the_old_one() -> None:
    new = replace(VIDEO, etag="etag-2")
    assert JOB.index_key(new) != JOB.index_key(VIDEO)
    assert JOB.video_prefix(new) != JOB.video_prefix(VIDEO)


def test_everything_of_a_video_lies_under_its_prefix() -> None:
    segment = SegmentTask(VIDEO, 0, 0, 60)
    keys = [
        JOB.index_key(VIDEO),
        JOB.labels_key(VIDEO, 0, 60),
        JOB.outcome_key(segment),
        JOB.overlay_key(segment),
        JOB.part_key(segment),
    ]
    assert all(key.startswith(JOB.video_prefix(VIDEO)) for key in keys)
    assert len(set(keys)) == len(keys)


def test_no_prefix_of_a_video_begins_another_ones() -> None:
    """Else tidying one up would delete the other's work."""
    prefixes = [JOB.video_prefix(replace(VIDEO, video=name)) for name in ("a.mp4", "a.mp4.mkv", "a.mp4/b.mp4", "a")]
    assert not any(one != other and other.startswith(one) for one in prefixes for other in prefixes)


def test_a_result_keeps_its_name_where_the_container_can_hold_it() -> None:
    old = replace(VIDEO, video="a/clip.avi")
    assert JOB.output_key(VIDEO, rebuilt=True) == "films/a.mp4"
    assert JOB.output_key(old, rebuilt=True) == "a/clip.avi.mkv"
    assert JOB.output_key(old, rebuilt=False) == "a/clip.avi"


def test_a_single_video_may_get_another_name() -> None:
    assert replace(JOB, rename="better.mp4").output_key(VIDEO, rebuilt=True) == "better.mp4"


@pytest.mark.parametrize("frames", [1, DEBLUR_FRAMES - 1, DEBLUR_FRAMES, DEBLUR_FRAMES + 1, 300])
def test_deblur_spans_cover_a_segment_without_a_gap(frames: int) -> None:
    spans = deblur_spans(SegmentTask(VIDEO, 3, 500, 500 + frames))
    covered = [number for span in spans for number in range(span.first_frame, span.stop_frame)]
    assert covered == list(range(500, 500 + frames))
    assert max(span.frame_count for span in spans) <= DEBLUR_FRAMES
    assert {span.number for span in spans} == {3}


def test_run_ids_differ() -> None:
    assert len({new_run_id() for _ in range(50)}) == 50
