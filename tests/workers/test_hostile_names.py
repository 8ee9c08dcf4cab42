"""Names that are meant to do harm, through the stages as they are: in the archive's keys, and inside containers."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

from deblur_core.errors import StorageError
from tests.conftest import S3Server
from tests.fidelity.quick_line import EVERYTHING_IS_BETTER, all_calls, quick_models, restored
from tests.media import make_clip
from workers.actors import build_stage
from workers.job import Job, RestoreOptions, VideoTask
from workers.planned_video import PlannedVideos, Stores

_ESCAPE = "\x1b[2J\nFAILED all.mp4\r"


def test_names_inside_a_container_are_carried_over_and_name_no_file(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mkv", frames=24, size=(96, 64), audio=False)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source = tmp_path / "in" / "a.mkv"
    with av.open(str(plain)) as taken, av.open(str(source), "w") as made:
        stream = made.add_stream_from_template(taken.streams.video[0])
        made.add_attachment("../../../escaped.ttf", "font/ttf", b"attached")
        made.metadata.update({"TITLE": _ESCAPE, "../ESCAPED": "tag"})
        for packet in taken.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    before = set(tmp_path.rglob("*"))
    outcome = restored(source, tmp_path / "out")
    assert outcome.error is None and outcome.path == tmp_path / "out" / "a.mkv" and outcome.restored
    assert all(path.is_relative_to(tmp_path / "out") for path in set(tmp_path.rglob("*")) - before)
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name.lower()]
    with av.open(str(outcome.path)) as result:
        assert [each.name for each in result.streams if each.type == "attachment"] == ["../../../escaped.ttf"]


@pytest.fixture
def archive_on_s3(moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Job, str]:
    """A job from a bucket to a folder deep below `tmp_path`, and the bucket's name."""
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    bucket = moto_s3.create_bucket()
    destination = tmp_path / "deep" / "down" / "out"
    destination.mkdir(parents=True)
    options = RestoreOptions(segment_frames=24, limits=EVERYTHING_IS_BETTER)
    return Job("run", f"s3://{bucket}", str(destination), str(destination / "_restore/work"), options, "cpu"), bucket


@pytest.mark.parametrize("key", ["../../../escaped.mp4", "/escaped.mp4", "a/../../escaped.mp4", "a//b.mp4"])
def test_a_key_that_a_bucket_can_hold_and_a_folder_cannot_fails_alone(
    archive_on_s3: tuple[Job, str], moto_s3: S3Server, tmp_path: Path, key: str
) -> None:
    job, bucket = archive_on_s3
    moto_s3.client.put_object(Bucket=bucket, Key=key, Body=b"x")
    stores = Stores(job)
    listed = list(stores.source.list())
    assert [info.key for info in listed] == [key]
    plan = build_stage("plan", job, stores, PlannedVideos(job, stores))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match="the object key") as caught:
        plan.run(VideoTask(listed[0].key, listed[0].etag, listed[0].size_bytes))
    assert str(caught.value).isprintable()
    assert set(tmp_path.rglob("*")) == before


def test_a_name_that_only_a_bucket_can_hold_is_restored_from_bucket_to_bucket(
    archive_on_s3: tuple[Job, str], moto_s3: S3Server, tmp_path: Path
) -> None:
    job, bucket = archive_on_s3
    target = f"s3://{moto_s3.create_bucket()}"
    job = replace(job, destination_url=target, work_url=f"{target}/_restore/work")
    key = f"{'long name ' * 40}.mp4"
    clip = make_clip(tmp_path / "a.mp4", frames=24, size=(96, 64), audio=False)
    moto_s3.client.put_object(Bucket=bucket, Key=key, Body=clip.read_bytes())
    stores = Stores(job)
    facts = stores.source.head(key)
    with quick_models():
        record = all_calls(job, stores, VideoTask(key, facts.etag, facts.size_bytes))
    assert record.output == key and record.restored > 0
    assert stores.destination.exists(key)
