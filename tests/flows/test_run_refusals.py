"""Wrong requests through the real command line: exit code 2, one line that says what to do, nothing written."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from deblur_core.errors import SettingsError
from deblur_core.storage import open_store
from deblur_core.storage.lease import LeaseTimes, held_lease
from deblur_core.storage.this_process import this_process
from flows.restore_archive import restore_archive
from tests.conftest import S3Server
from tests.flows.command import REPOSITORY, CommandLine, Finished
from tests.media import make_clip

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refused")
    for name in ("in", "empty", "texts"):
        (folder / name).mkdir()
    make_clip(folder / "in" / "clip.mp4", frames=12, size=(64, 48))
    (folder / "texts" / "a.txt").write_text("x")
    (folder / "file").write_text("x")
    return folder


@pytest.fixture
def assert_refused(command_line: CommandLine, archive: Path) -> Callable[..., Finished]:
    """Runs the command and proves that it ended as a wrong request does."""

    def run(*arguments: object, words: tuple[str, ...], environment: dict[str, str] | None = None) -> Finished:
        before = sorted(archive.rglob("*"))
        done = command_line.run("run", *arguments, environment=environment)
        assert done.code == 2, done
        assert done.stderr.startswith("restore-archive: ")
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert all(word in done.stderr for word in words), done.stderr
        assert sorted(archive.rglob("*")) == before
        return done

    return run


Refused = Callable[..., Finished]


@pytest.mark.parametrize(
    ("source", "destination", "options", "words"),
    [
        ("nowhere", "out", (), ("does not exist", "check the path")),
        ("empty", "out", (), ("is empty",)),
        ("texts", "out", (), ("no video",)),
        ("in", "in/out", (), ("lies inside the source", "name another place")),
        ("in", "file/out", (), ("destination", "file")),
        ("in", "out", ("--restorer", "defualt"), ("unknown restorer 'defualt'", "default")),
        ("in", "out", ("--threshold", "-0.5"), ("threshold = -0.5", "greater than or equal to 0")),
    ],
)
def test_a_wrong_request_is_refused(
    assert_refused: Refused, archive: Path, source: str, destination: str, options: tuple[str, ...], words: tuple[str]
) -> None:
    done = assert_refused(archive / source, archive / destination, *options, words=words)
    assert done.stdout == ""


def test_weights_of_one_s_own_that_will_not_do_are_refused(assert_refused: Refused, archive: Path) -> None:
    gone, other = archive / "gone.safetensors", archive / "file"
    assert_refused(archive / "in", archive / "out", "--weights", gone, words=("cannot be read", "check the path"))
    words = ("does not hold weights of NeighbourNAFNet",)
    assert_refused(archive / "in", archive / "out", "--weights", other, words=words)


def test_a_gpu_that_is_not_here_is_refused(assert_refused: Refused, archive: Path) -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    words = ("device 'cuda' was asked for", "use --device auto or cpu")
    assert_refused(archive / "in", archive / "out", "--device", "cuda", words=words, environment=hidden)


def test_a_deployment_s_gpu_that_is_not_here_is_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow by itself, as a worker of Prefect runs it."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingsError, match="device 'cuda' was asked for"):
        restore_archive.fn(str(archive / "in"), str(archive / "out"), device="cuda")
    assert not (archive / "out").exists()


def test_a_destination_that_cannot_be_written_is_refused(assert_refused: Refused, archive: Path) -> None:
    if os.geteuid() == 0:
        assert_refused(archive / "in", "/sys/restored", words=("destination /sys/restored", "not allowed"))
        return
    (archive / "sealed").mkdir(mode=0o555)
    assert_refused(archive / "in", archive / "sealed" / "out", words=("destination", "not allowed"))


def test_with_json_the_reason_is_one_object_too(assert_refused: Refused, archive: Path) -> None:
    done = assert_refused(archive / "nowhere", archive / "out", "--json", words=("does not exist",))
    assert "does not exist" in json.loads(done.stdout)["error"]


def test_tampered_weights_are_refused(assert_refused: Refused, archive: Path, tmp_path: Path) -> None:
    for package in ("deblur_core", "workers", "flows"):
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    weights = tmp_path / "deblur_core" / "weights" / "default.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    assert_refused(
        archive / "in",
        archive / "out",
        words=("default.safetensors are not the released ones", "install again"),
        environment={"PYTHONPATH": str(tmp_path)},
    )


def test_a_wrong_secret_is_refused(assert_refused: Refused, archive: Path, swift_s3: S3Server) -> None:
    environment = swift_s3.environment() | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    bucket = swift_s3.shared_bucket
    assert_refused(f"s3://{bucket}/in", archive / "out", words=("source s3://",), environment=environment)
    assert_refused(archive / "in", f"s3://{bucket}/out", words=("destination s3://",), environment=environment)


def test_a_missing_bucket_is_refused(assert_refused: Refused, archive: Path, swift_s3: S3Server) -> None:
    environment = swift_s3.environment()
    assert_refused("s3://no-such-bucket/in", archive / "out", words=("no-such-bucket",), environment=environment)
    assert_refused(archive / "in", "s3://no-such-bucket/out", words=("no-such-bucket",), environment=environment)


def test_a_ray_cluster_that_does_not_answer_is_refused(assert_refused: Refused, archive: Path) -> None:
    """In the program's own words: Ray itself would try for minutes first."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    words = (f"Ray at '{address}' does not answer",)
    assert_refused(archive / "in", archive / "out", "--ray-address", address, words=words)


def test_an_empty_prefix_is_refused(assert_refused: Refused, archive: Path, swift_s3: S3Server) -> None:
    source = f"s3://{swift_s3.shared_bucket}/nothing-here"
    assert_refused(source, archive / "out", words=("is empty",), environment=swift_s3.environment())


def test_a_destination_that_another_run_writes_into_is_refused_with_who_that_is(
    assert_refused: Refused, archive: Path
) -> None:
    (archive / "taken").mkdir()
    me = this_process()
    with held_lease(open_store(archive / "taken"), "20260101T000000-abcdef", LeaseTimes(renew=600.0)):
        done = assert_refused(
            archive / "in",
            archive / "taken",
            words=(f"another run writes into {archive}/taken", f"run 20260101T000000-abcdef on {me.host}, process"),
        )
    assert done.stdout == ""


def test_work_that_another_run_writes_into_is_refused_with_who_that_is(assert_refused: Refused, archive: Path) -> None:
    (archive / "used").mkdir()
    (archive / "free").mkdir()
    with held_lease(open_store(archive / "used"), "20260101T000000-abcdef", LeaseTimes(renew=600.0)):
        words = (
            f"another run writes into {archive}/used",
            "run 20260101T000000-abcdef on ",
            "name another place",
        )
        assert_refused(archive / "in", archive / "free", "--work", archive / "used", words=words)


def test_a_destination_whose_links_lead_in_a_circle_is_refused(
    assert_refused: Refused, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert_refused(archive / "in", tmp_path / "loop" / "out", words=("symbolic links in a circle", "name the place"))
