"""Where a command cannot write, it says so in one line before it works, and leaves nothing behind."""

import os
from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import StorageError, UsageError
from deblur_core.output_place import check_file_place, check_folder_place, writing_explained
from tests.flows.command import Invoke
from tests.media import make_clip

NOBODY_WRITES_HERE = "/proc"
"""Not even root, as whom tests often run."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=4, size=(64, 48))


def refused(result: Any, *words: str) -> None:
    """It ended as a wrong request does."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert all(word in result.stderr for word in words), result.stderr


def names(folder: Path) -> list[str]:
    """All that lies in it, at any depth."""
    return sorted(path.name for path in folder.rglob("*"))


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is not begun: who begins it fails."""

    def begun(*given: object, **named: object) -> None:
        raise AssertionError("the work was begun")

    for name in (
        "flows.commands.compare._pairs",
        "deblur_core.models.registry.load_selector",
        "deblur_core.training.run.build_library",
    ):
        monkeypatch.setattr(name, begun)


WRONG_PLACES = [
    ("file", "is a file: name a folder"),
    ("file/below", "Not a directory"),
    (f"{NOBODY_WRITES_HERE}/x", "cannot be written to /proc/x"),
]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("out", "said"), WRONG_PLACES)
def test_inspect_refuses_a_folder_that_it_cannot_write(
    invoke: Invoke, tmp_path: Path, clip: Path, out: str, said: str
) -> None:
    (tmp_path / "file").write_text("kept")
    refused(invoke("inspect", clip, "--out", out), said)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("nodir/x.png", "No such file or directory"),
        (".", "is a folder: name a file"),
        ("/proc/x.png", "cannot be written to /proc/x.png"),
        ("clip.mp4", "would overwrite a video"),
    ],
)
def test_compare_refuses_a_picture_that_it_cannot_write(
    invoke: Invoke, tmp_path: Path, clip: Path, out: str, said: str
) -> None:
    before = clip.read_bytes()
    refused(invoke("compare", clip, clip, "--out", out), said)
    assert names(tmp_path) == ["clip.mp4"] and clip.read_bytes() == before


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("out", "said"), WRONG_PLACES)
def test_train_refuses_a_folder_that_it_cannot_write(
    invoke: Invoke, tmp_path: Path, clip: Path, out: str, said: str
) -> None:
    (tmp_path / "file").write_text("kept")
    refused(invoke("train", "default-fast", "--data", tmp_path, "--steps", 2, "--out", out), said)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("command", "arguments"),
    [("inspect", ["CLIP"]), ("compare", ["CLIP", "CLIP"]), ("train", ["default-fast", "--data", ".", "--steps", 2])],
)
def test_a_working_directory_that_cannot_be_written_is_refused_where_no_out_is_named(
    invoke: Invoke, clip: Path, monkeypatch: pytest.MonkeyPatch, command: str, arguments: list[object]
) -> None:
    monkeypatch.chdir(NOBODY_WRITES_HERE)
    given = [clip if each == "CLIP" else each for each in arguments]
    refused(invoke(command, *given), "cannot be written to", "choose another place")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("option", "value"), [("--threads", 0), ("--threads", -1), ("--seed", -1)])
def test_train_refuses_numbers_that_nothing_can_be_done_with(
    invoke: Invoke, tmp_path: Path, option: str, value: int
) -> None:
    refused(
        invoke("train", "default-fast", "--data", tmp_path, "--steps", 2, option, value), f"{option} must be at least"
    )
    assert names(tmp_path) == []


@pytest.mark.parametrize("minutes", ["nan", "inf"])
def test_a_budget_without_end_is_none(invoke: Invoke, minutes: str) -> None:
    refused(invoke("train", "default-fast", "--data", ".", "--minutes", minutes), "must be more than nothing")


def test_a_training_that_is_refused_for_its_data_leaves_no_folder(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "there").mkdir()
    for out in ("fresh", "deep/er/fresh", "there"):
        result = invoke("train", "default-fast", "--data", "data", "--steps", 2, "--out", out)
        refused(result, "too little to learn from")
    result = invoke("train", "default-fast", "--data", "nowhere", "--steps", 2, "--out", "fresh")
    refused(result, "is no folder")
    assert names(tmp_path) == ["data", "there"]


def test_a_trial_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_text("old")
    check_file_place(tmp_path / "old.png")
    check_file_place(tmp_path / "new.png")
    check_file_place(Path(os.devnull))
    check_folder_place(tmp_path / "new" / "folder")
    check_folder_place(tmp_path)
    assert names(tmp_path) == ["old.png"] and (tmp_path / "old.png").read_text() == "old"


def test_a_name_that_is_too_long_is_found_out_beforehand(tmp_path: Path) -> None:
    for check in (check_file_place, check_folder_place):
        with pytest.raises(UsageError, match="too long"):
            check(tmp_path / ("x" * 300))


def test_what_goes_wrong_while_it_is_written_is_one_line(
    invoke: Invoke, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    result = invoke("compare", clip, clip)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1), result.output
    assert "clip.comparison.png cannot be read or written: No space left on device" in result.stderr


def test_the_place_is_named_where_the_system_names_none(tmp_path: Path) -> None:
    said = f"{tmp_path} cannot be read or written: Input/output error"
    with pytest.raises(StorageError, match=said), writing_explained(tmp_path):
        raise OSError(5, "Input/output error")
