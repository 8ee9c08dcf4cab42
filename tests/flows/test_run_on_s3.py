"""The mixed archive through a real S3 server, source and destination both there: the same as through folders."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import S3Server
from tests.flows.archive import GOOD, Destination
from tests.flows.command import CommandLine, Finished
from tests.flows.conftest import MixedRun
from tests.media import frame_hashes, frame_times, packet_hashes

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class S3Run:
    """The run, a copy of what it left in the bucket, and the proof of it there."""

    finished: Finished
    out: Destination
    verified: Finished


@pytest.fixture(scope="module")
def s3_run(
    mixed_run: MixedRun, command_line: CommandLine, swift_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> S3Run:
    bucket = swift_s3.create_bucket()
    for path in sorted(mixed_run.source.rglob("*")):
        if path.is_file():
            key = f"archive/{path.relative_to(mixed_run.source).as_posix()}"
            swift_s3.client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    source, destination = f"s3://{bucket}/archive", f"s3://{bucket}/restored"
    finished = command_line.run("run", source, destination, "--json", environment=swift_s3.environment())
    verified = command_line.run("verify", source, destination, "--json", environment=swift_s3.environment())
    copy = tmp_path_factory.mktemp("from-s3")
    for listed in swift_s3.client.list_objects_v2(Bucket=bucket, Prefix="restored/").get("Contents", []):
        target = copy / str(listed["Key"]).removeprefix("restored/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(swift_s3.client.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read())
    return S3Run(finished, Destination(copy), verified)


def test_the_run_ends_as_it_does_with_folders(s3_run: S3Run, mixed_run: MixedRun) -> None:
    finished = s3_run.finished
    assert finished.code == 3, finished.stderr
    summary = json.loads(finished.stdout)
    assert {name: summary[name] for name in ("videos", "frames")} == {
        name: mixed_run.summary[name] for name in ("videos", "frames")
    }
    assert [(each["video"], each["stage"]) for each in summary["failures"]] == [
        (each["video"], each["stage"]) for each in mixed_run.summary["failures"]
    ]


@pytest.mark.parametrize("video", GOOD)
def test_the_pixels_times_and_sound_are_the_same(s3_run: S3Run, mixed_run: MixedRun, video: str) -> None:
    out = s3_run.out
    through_s3, through_folders = out.folder / video, mixed_run.out.folder / video
    assert frame_hashes(through_s3) == frame_hashes(through_folders)
    assert frame_times(through_s3) == frame_times(through_folders)
    assert packet_hashes(through_s3, "audio") == packet_hashes(through_folders, "audio")


@pytest.mark.parametrize("video", GOOD)
def test_the_manifests_are_the_same_but_for_the_version_of_the_source(
    s3_run: S3Run, mixed_run: MixedRun, video: str
) -> None:
    out = s3_run.out
    mine, theirs = out.manifest(video), mixed_run.out.manifest(video)
    assert [{**row, "source_etag": ""} for row in mine] == [{**row, "source_etag": ""} for row in theirs]


def test_what_was_published_there_is_proved_there(s3_run: S3Run) -> None:
    assert s3_run.out.sealed() == sorted(GOOD)
    assert (s3_run.verified.code, s3_run.verified.stderr) == (3, "")
    assert json.loads(s3_run.verified.stdout)["videos"] == {"total": 5, "proved": 2, "copies": 1, "wrong": 3}


def test_nothing_temporary_is_left_in_the_bucket(s3_run: S3Run, mixed_run: MixedRun, tmp_path: Path) -> None:
    out = s3_run.out
    assert out.published() == sorted(GOOD)
    assert [name for name in out.files() if name.startswith(("_restore/work/", "_restore/tmp/"))] == []
