"""What a published video leaves in the work store: nothing, of no version of it; others keep all of theirs."""

from dataclasses import replace
from pathlib import Path

from deblur_core.storage import open_store
from tests.workers.test_stages import job_in
from workers.job import VideoTask
from workers.leftovers import empty_work, remove_abandoned_work

NOW = VideoTask("a.mp4", "now", 5)


def test_all_versions_of_a_video_go_and_others_stay(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    work = open_store(job.work_url)
    gone = [job.index_key(NOW), job.labels_key(NOW, 0, 12), job.index_key(replace(NOW, etag="before"))]
    below, beside = replace(NOW, video="a.mp4/b.mp4"), replace(NOW, video="a.mp4.mov")
    kept = [job.index_key(below), job.index_key(beside)]
    for key in (*gone, *kept):
        work.put(key, b"some")
    empty_work(work, NOW.video)
    assert [info.key for info in work.list()] == sorted(kept)


def test_where_nobody_has_written_there_is_nothing_to_do(tmp_path: Path) -> None:
    empty_work(open_store(str(tmp_path / "none")), NOW.video)
    remove_abandoned_work(open_store(str(tmp_path / "none")), [NOW.video])
    assert not (tmp_path / "none").exists()


def test_of_videos_that_are_done_nothing_stays(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    work = open_store(job.work_url)
    below, beside, folder = (replace(NOW, video=video) for video in ("a.mp4/b.mp4", "c.mp4", f"d/{'0' * 16}/e.mp4"))
    gone = [job.index_key(NOW), job.labels_key(NOW, 0, 12), job.index_key(folder)]
    kept = [job.index_key(below), job.index_key(beside)]
    for key in (*gone, *kept):
        work.put(key, b"some")
    remove_abandoned_work(work, {NOW.video, folder.video, "never.mp4"})
    assert [info.key for info in work.list()] == sorted(kept)
