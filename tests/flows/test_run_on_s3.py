"""The mixed archive through a real S3 server, source and destination both there: the same as through folders."""

import json
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import S3Server
from tests.flows.archive import GOOD, Destination
from tests.flows.command import CommandLine, Finished
from tests.flows.conftest import MixedRun
from tests.flows.processes import MARK, marked
from tests.media import frame_hashes, frame_times, packet_hashes

pytestmark = pytest.mark.integration


CANARY = "canary-of-the-"
"""Every secret that the run is given begins so: whoever finds it elsewhere has found a leak."""
_RAY_FOLDER_PREFIX = "/tmp/ra-"  # the paths of Ray's sockets must be short


@dataclass(frozen=True)
class S3Run:
    """The run, a copy of what it left in the bucket, and the proof of it there. commands: of all its processes, as
    everybody on the machine sees them; logs: folders into which Ray and Prefect wrote."""

    finished: Finished
    out: Destination
    verified: Finished
    commands: frozenset[str]
    logs: tuple[Path, ...]


def _with_secrets(server: S3Server, ray_folder: Path) -> dict[str, str]:
    host = server.endpoint_url.removeprefix("http://")
    return {
        **server.environment(),
        "AWS_ENDPOINT_URL": f"http://somebody:{CANARY}address@{host}",
        "HTTPS_PROXY": f"http://somebody:{CANARY}proxy@127.0.0.1:9",
        "SOME_SERVICE_API_KEY": f"{CANARY}service",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": f"{CANARY}cluster-{uuid.uuid4().hex}",
        "RAY_TMPDIR": str(ray_folder),
    }


@contextmanager
def _watched(mark: str) -> Iterator[set[str]]:
    """The command lines of all processes with this mark that live for a quarter of a second."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.25):
            seen.update(line.partition(" ")[2] for line in marked(mark, whole=True))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def s3_run(
    mixed_run: MixedRun, command_line: CommandLine, swift_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Run]:
    bucket = swift_s3.create_bucket()
    for path in sorted(mixed_run.source.rglob("*")):
        if path.is_file():
            key = f"archive/{path.relative_to(mixed_run.source).as_posix()}"
            swift_s3.client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    source, destination = f"s3://{bucket}/archive", f"s3://{bucket}/restored"
    mark = uuid.uuid4().hex
    ray_folder = Path(_RAY_FOLDER_PREFIX + mark[:8])
    environment = _with_secrets(swift_s3, ray_folder) | {MARK: mark}
    with _watched(mark) as commands:
        finished = command_line.run("run", source, destination, "--json", environment=environment)
    verified = command_line.run("verify", source, destination, "--json", environment=swift_s3.environment())
    copy = tmp_path_factory.mktemp("from-s3")
    for listed in swift_s3.client.list_objects_v2(Bucket=bucket, Prefix="restored/").get("Contents", []):
        target = copy / str(listed["Key"]).removeprefix("restored/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(swift_s3.client.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read())
    yield S3Run(finished, Destination(copy), verified, frozenset(commands), (ray_folder, command_line.home / "cache"))
    shutil.rmtree(ray_folder, ignore_errors=True)


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


def test_no_secret_of_the_run_is_found_anywhere(s3_run: S3Run) -> None:
    assert any("ray::" in command for command in s3_run.commands), s3_run.commands
    assert [command for command in s3_run.commands if CANARY in command] == []
    told = [s3_run.finished.stdout, s3_run.finished.stderr, s3_run.verified.stdout, s3_run.verified.stderr]
    assert [text for text in told if CANARY in text] == []
    for path in sorted(s3_run.out.folder.rglob("*.parquet")):
        table = pq.read_table(path)
        assert CANARY not in f"{table.schema.metadata} {table.to_pylist()}", path
    left = [s3_run.out.folder, *s3_run.logs]
    files = [path for folder in left for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 20 and any(path.suffix == ".db" for path in files) and any("gcs" in path.name for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
