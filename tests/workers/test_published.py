"""A publish whose answer was lost with its worker, whenever that died: asked again, it finds what it did."""

from dataclasses import replace
from pathlib import Path

import pytest

from deblur_core.errors import ObjectNotFoundError
from tests.workers.shaken_clip import shaken_clip
from tests.workers.test_stages import Line, job_in

pytestmark = pytest.mark.usefixtures("one_restorer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    shaken_clip(tmp_path / "in" / "clip.mp4", frames=24, shaken=((8, 14),), size=(160, 96))
    return tmp_path


def restored_frames(line: Line) -> int:
    return sum(row["action"] == "restored" for row in line.manifest("clip.mp4"))


def test_after_its_end_it_finds_the_video_published(folder: Path) -> None:
    line = Line(job_in(folder))
    line.stores.work.put(line.job.index_key(replace(line.task("clip.mp4"), etag="before it changed")), b"of no use")
    record = line.restore("clip.mp4")
    assert record is not None and record.restored > 0
    assert list(line.stores.work.list()) == []
    before = (folder / "out" / "clip.mp4").stat().st_ino
    again, reused = Line(line.job).run("publish", line.task("clip.mp4"))
    assert (again.record, reused) == (record, True)
    assert (folder / "out" / "clip.mp4").stat().st_ino == before


def test_while_it_emptied_the_work_store_it_goes_on_with_that(folder: Path) -> None:
    line = Line(job_in(folder))
    kept = line.stores.work.delete_prefix
    line.stores.work.delete_prefix = lambda prefix: kept(f"{prefix}frames-")  # type: ignore[method-assign]
    record = line.restore("clip.mp4")
    assert record is not None and record.restored > 0
    assert list(line.stores.work.list())
    later = Line(line.job)
    again, reused = later.run("publish", later.task("clip.mp4"))
    assert (again.record, reused) == (record, True)
    assert restored_frames(later) == record.restored
    assert list(later.stores.work.list()) == []


def test_without_what_became_of_blurred_frames_nothing_is_published(folder: Path) -> None:
    line = Line(job_in(folder))
    line.restore("clip.mp4", until="publish")
    line.stores.work.delete_prefix(f"{line.job.video_prefix(line.task('clip.mp4'))}frames-")
    with pytest.raises(ObjectNotFoundError):
        Line(line.job).run("publish", line.task("clip.mp4"))
    assert not (folder / "out" / "clip.mp4").exists()


def test_a_run_that_does_all_again_does_not_take_an_earlier_runs_for_its_own(folder: Path) -> None:
    line = Line(job_in(folder))
    record = line.restore("clip.mp4")
    assert record is not None
    forced = Line(replace(line.job, run_id="forced", salt="forced"))
    again = forced.restore("clip.mp4")
    assert again is not None and again.run_id == "forced"
