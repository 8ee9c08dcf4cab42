"""Scratch folders of killed processes: gone as soon as somebody comes who knows that their maker is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deblur_core.storage.scratch import remove_abandoned_scratch, scratch_prefix, temporary_folder

MAKE_AND_WAIT = """
from deblur_core.storage.scratch import temporary_folder
with temporary_folder() as folder:
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def _temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_removed_at_once_and_what_a_living_one_uses_stays(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", MAKE_AND_WAIT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        assert process.stdout is not None
        made = Path(process.stdout.readline().strip())
        remove_abandoned_scratch()
        assert made.is_dir()
        process.kill()
        process.wait()
        with temporary_folder() as mine:
            assert names(tmp_path) == sorted([made.name, Path(mine).name])
            remove_abandoned_scratch()
            assert names(tmp_path) == [Path(mine).name]
    assert names(tmp_path) == []


def test_what_nobody_can_tell_of_is_removed_after_a_day(tmp_path: Path) -> None:
    elsewhere = f"restore-archive-{'0' * 12}.1.1-"  # of another container, which may live
    for name, age_hours in (
        ("restore-archive-old", 25), ("restore-archive-in-use", 23), (f"{elsewhere}old", 25),
        (f"{elsewhere}in-use", 23), ("somebody-elses", 25),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.mkv").write_bytes(b"x")
        when = time.time() - age_hours * 3600
        os.utime(tmp_path / name, (when, when))
    remove_abandoned_scratch()
    assert names(tmp_path) == [f"{elsewhere}in-use", "restore-archive-in-use", "somebody-elses"]


def test_a_process_id_that_is_used_again_does_not_keep_a_folder(tmp_path: Path) -> None:
    me = scratch_prefix()
    earlier = me.rpartition(".")[0] + ".1-"
    (tmp_path / f"{earlier}left").mkdir()
    (tmp_path / f"{me}mine").mkdir()
    remove_abandoned_scratch()
    assert names(tmp_path) == [f"{me}mine"]
