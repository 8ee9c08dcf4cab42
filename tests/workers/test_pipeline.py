"""The driver's loop over actors that answer as the test says: whose trouble ends a video, and whose does not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError, RaySystemError, RayTaskError

from deblur_core.errors import (
    AccessDeniedError,
    DamagedVideoError,
    DeclinedVideoError,
    ObjectNotFoundError,
    StorageFullError,
    UnavailableError,
    VerificationError,
    WorkersLostError,
)
from deblur_core.manifests.videos import UNCHANGED, VideoRecord
from tests.workers.fake_ray import FakeRay, installed
from workers.job import Job, RestoreOptions, VideoTask
from workers.pipeline import Pipeline
from workers.pool import PoolError
from workers.results import Classified, Cost, Planned, Published

JOB = Job("run", "source", "destination", "work", RestoreOptions())
GOOD, BAD = VideoTask("good.mp4", "etag", 1000), VideoTask("bad.mp4", "etag", 1000)
COST = Cost(0.1, False)
WAIT_SECONDS = 120.0
NODE_LOST = ActorUnavailableError("out of reach", b"0" * 16)

MakePipeline = Callable[[], Pipeline]


def record(video: VideoTask) -> VideoRecord:
    return VideoRecord(
        video.video, video.etag, video.size_bytes, JOB.fingerprint, UNCHANGED, None, None, video.video, 1000, 30, 0, 0,
        0, "run", 0,
    )  # fmt: skip


def well_done(stage: str, task: Any) -> Any:
    """What the stages answer for a video of one segment without a blurred frame."""
    if stage == "plan":
        return Planned(((0, 30),), None, None, 640 * 480), COST
    if stage == "classify":
        return Classified((0,)), COST
    return Published(record(task)), COST


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = installed(monkeypatch)
    ray.answer = well_done
    return ray


@pytest.fixture
def pipeline(fake: FakeRay) -> Iterator[Pipeline]:
    pipeline = Pipeline(JOB, clock=fake.ticking)
    yield pipeline
    pipeline.stop()


def of(task: Any) -> str:
    return str(getattr(task.video, "video", task.video))


def raised(error: Exception) -> RayTaskError:
    """As Ray tells that a call raised it."""
    return RayTaskError("run", "", error)


def sent_to(fake: FakeRay, video: VideoTask) -> list[str]:
    """The actors that calls of this video went to, in order."""
    return [actor for actor, task in fake.sent if of(task) == video.video]


def test_a_call_that_never_ends_sets_its_video_aside_and_others_go_on(fake: FakeRay, pipeline: Pipeline) -> None:
    fake.answer = lambda stage, task: None if (stage, of(task)) == ("classify", "bad.mp4") else well_done(stage, task)
    good, bad = pipeline.submit([GOOD, BAD])
    pipeline.start()
    failed = bad.result(WAIT_SECONDS).record
    assert good.result(WAIT_SECONDS).record.status == UNCHANGED
    assert (failed.status, failed.stage) == ("failed", "classify")
    assert failed.error == ("bad.mp4: frames 0 to 29 did not end in time 3 times and is set aside (no end after 615 s)")
    assert len(set(sent_to(fake, BAD)[1:])) == 3  # after plan: a new actor each time
    assert fake.seconds > 3 * 615


def test_a_run_whose_actors_never_become_ready_ends_with_the_reason(fake: FakeRay, pipeline: Pipeline) -> None:
    fake.ready = False
    (future,) = pipeline.submit([GOOD])
    pipeline.start()
    with pytest.raises(PoolError, match="was ready 900 s after it was asked for, twice"):
        future.result(WAIT_SECONDS)


def test_a_call_whose_store_does_not_answer_waits_and_is_done_again(fake: FakeRay, pipeline: Pipeline) -> None:
    failures = iter([raised(UnavailableError("the store answers 503")), raised(StorageFullError("no room"))])

    def answer(stage: str, task: Any) -> Any:
        return next(failures, None) or well_done(stage, task) if stage == "classify" else well_done(stage, task)

    fake.answer = answer
    (future,) = pipeline.submit([GOOD])
    pipeline.start()
    assert future.result(WAIT_SECONDS).record.status == UNCHANGED
    assert len(sent_to(fake, GOOD)) == 5  # plan, classify three times, publish


def test_a_store_that_never_answers_fails_the_video_and_the_next_run_tries_it_again(
    fake: FakeRay, pipeline: Pipeline
) -> None:
    error = raised(UnavailableError("the store answers 503"))
    fake.answer = lambda stage, task: error if of(task) == "bad.mp4" else well_done(stage, task)
    good, bad = pipeline.submit([GOOD, BAD])
    pipeline.start()
    assert good.result(WAIT_SECONDS).record.status == UNCHANGED
    failed = bad.result(WAIT_SECONDS).record
    assert (failed.stage, failed.error, failed.is_final) == ("plan", "the store answers 503", False)
    assert len(sent_to(fake, BAD)) == 5


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (AccessDeniedError("not allowed"), False),
        (ObjectNotFoundError("it is gone"), False),
        (DamagedVideoError("cut short"), True),
        (DeclinedVideoError("interlaced"), True),
        (VerificationError("differs"), False),
        (ValueError("should not happen"), False),
    ],
)
def test_what_cannot_pass_is_not_tried_again_in_the_same_run(
    fake: FakeRay, pipeline: Pipeline, error: Exception, final: bool
) -> None:
    fake.answer = lambda stage, task: raised(error)
    (future,) = pipeline.submit([BAD])
    pipeline.start()
    failed = future.result(WAIT_SECONDS).record
    assert len(sent_to(fake, BAD)) == 1
    assert str(error) in str(failed.error)
    assert failed.is_final is final


def test_a_call_that_loses_its_node_again_and_again_is_set_aside_at_last(fake: FakeRay, pipeline: Pipeline) -> None:
    fake.answer = lambda stage, task: NODE_LOST if of(task) == "bad.mp4" else well_done(stage, task)
    good, bad = pipeline.submit([GOOD, BAD])
    pipeline.start()
    assert good.result(WAIT_SECONDS).record.status == UNCHANGED
    assert "lost its worker 12 times, with the node or out of reach" in str(bad.result(WAIT_SECONDS).record.error)


def test_a_ray_that_is_gone_ends_the_run_with_the_reason_and_is_not_asked_again(
    fake: FakeRay, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: Any, **__: Any) -> Any:
        raise RaySystemError("Broken pipe")

    monkeypatch.setattr("workers.pipeline.ray.wait", wait)
    (future,) = pipeline.submit([GOOD])
    pipeline.start()
    with pytest.raises(WorkersLostError, match=r"Ray has ended under the run .*Broken pipe"):
        future.result(WAIT_SECONDS)
    pipeline.end_without_ray(WorkersLostError("gone"))
    pipeline.stop()
    assert fake.killed == []
