"""`restore-archive verify`: exit codes, one JSON object, and that one bad file never ends it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.flows.command import Invoke
from tests.media import make_clip
from tests.workers.test_stages import Line, job_in

GOOD = ("a.mp4", "films/b.mkv", "films/c.mp4")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `in` and `out`: three copies. Tests only look."""
    folder = tmp_path_factory.mktemp("verified")
    (folder / "in" / "films").mkdir(parents=True)
    line = Line(job_in(folder, threshold=1.0))
    for seed, video in enumerate(GOOD):
        make_clip(folder / "in" / video, frames=6, size=(96, 64), seed=seed)
        line.restore(video)
    return folder


@pytest.fixture
def archive(published: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    shutil.copytree(published, tmp_path / "archive")
    return tmp_path / "archive"


def report(invoke: Invoke, folder: Path, *options: object) -> tuple[int, dict[str, Any]]:
    done = invoke("verify", folder / "in", folder / "out", "--json", *options)
    assert len(done.stdout.splitlines()) == 1
    told: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, told


def test_when_all_hold_the_exit_code_is_0(published: Path, invoke: Invoke) -> None:
    before = sorted(published.rglob("*"))
    code, told = report(invoke, published)
    assert code == 0
    assert list(told) == ["seconds", "hashes_only", "videos", "problems"]
    assert told["videos"] == {"total": 3, "proved": 3, "copies": 3, "wrong": 0}
    assert told["problems"] == []
    assert sorted(published.rglob("*")) == before


def test_what_is_wrong_is_named_with_its_video_and_the_others_go_on(archive: Path, invoke: Invoke) -> None:
    (archive / "out" / "a.mp4").write_bytes(b"x")
    (archive / "out" / "films" / "c.mp4.restoration.json").write_text("[")
    code, told = report(invoke, archive)
    assert code == 3
    assert told["videos"] == {"total": 3, "proved": 1, "copies": 1, "wrong": 2}
    assert [(each["video"], each["output"], len(each["problems"])) for each in told["problems"]] == [
        ("a.mp4", "a.mp4", 1),
        ("films/c.mp4", "films/c.mp4", 1),
    ]


def test_an_error_that_nobody_thought_of_ends_one_video_only(
    published: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.commands import verify

    whole = verify.repeat_proof

    def odd(source: Any, video: Any, *others: Any) -> Any:
        if video.key == "a.mp4":
            raise ZeroDivisionError("odd")
        return whole(source, video, *others)

    monkeypatch.setattr(verify, "repeat_proof", odd)
    code, told = report(invoke, published)
    assert (code, told["videos"]["proved"]) == (3, 2)
    assert told["problems"][0]["problems"] == ["cannot be verified: ZeroDivisionError: odd"]


def test_the_table_says_what_holds_and_what_does_not(archive: Path, invoke: Invoke) -> None:
    (archive / "out" / "a.mp4").unlink()
    done = invoke("verify", archive / "in", archive / "out", "--hashes-only")
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert any("a.mp4" in line and "is not published" in line for line in lines)
    assert sum("holds" in line and "copy" in line for line in lines) == 2
    assert "by their hashes: 2 hold, 1 do not" in done.stdout


def test_one_video_and_one_under_a_new_name(archive: Path, invoke: Invoke) -> None:
    one = invoke("verify", archive / "in" / "a.mp4", archive / "out", "--json")
    assert (one.exit_code, json.loads(one.stdout)["videos"]["total"]) == (0, 1)
    (archive / "out" / "a.mp4").rename(archive / "out" / "new.mp4")
    (archive / "out" / "a.mp4.restoration.json").rename(archive / "out" / "new.mp4.restoration.json")
    renamed = invoke("verify", archive / "in" / "a.mp4", archive / "out" / "new.mp4", "--json")
    assert renamed.exit_code == 3
    assert json.loads(renamed.stdout)["problems"][0]["problems"] == ["its record is of a.mp4, made from a.mp4"]


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        ("nowhere", "out", "does not exist"),
        ("in", "nowhere", "nowhere"),
        ("in", "empty", "nothing was published there"),
        ("empty", "out", "is empty"),
        ("in", "ftp://host/a", "not supported"),
    ],
)
def test_a_wrong_request_is_refused(
    published: Path, tmp_path: Path, invoke: Invoke, source: str, destination: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("in", "out"):
        (tmp_path / name).symlink_to(published / name)
    done = invoke("verify", source, destination)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
