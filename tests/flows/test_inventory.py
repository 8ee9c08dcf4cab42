"""Taking stock: what is there to do, what is done already, and every request that is refused before anything starts."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import UsageError
from deblur_core.manifests.videos import VideoRecord, records_to_bytes
from deblur_core.provenance.versions import making_version
from flows.inventory import Inventory, take_inventory
from flows.settings import resolve_settings
from workers.job import VideoTask


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an archive of two videos and two other files in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "films/A.MOV", "notes.txt", "films/poster.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def take(source: Path | str, destination: Path | str, force: bool = False, **settings: Any) -> Inventory:
    return take_inventory(resolve_settings(source=str(source), destination=str(destination), **settings), "run", force)


def published(inventory: Inventory, videos: Iterable[VideoTask], out: Path) -> dict[str, VideoRecord]:
    """As if these had been published: records in videos.parquet and files under their names."""
    records = {}
    for video in videos:
        (out / video.video).parent.mkdir(parents=True, exist_ok=True)
        (out / video.video).write_bytes(b"result")
        (out / f"{video.video}.restoration.json").write_text("{}")
        records[video.video] = VideoRecord(
            video.video, video.etag, video.size_bytes, inventory.job.fingerprint, "unchanged", None, None, video.video,
            6, 10, 0, 0, 0, "earlier", 0,
        )  # fmt: skip
    write_records(records, out)
    return records


def write_records(records: dict[str, VideoRecord], out: Path) -> None:
    (out / "_restore").mkdir(parents=True, exist_ok=True)
    (out / "_restore" / "videos.parquet").write_bytes(records_to_bytes(records.values()))


def names(videos: Iterable[VideoTask | VideoRecord]) -> list[str]:
    return sorted(video.video for video in videos)


def test_videos_are_known_by_their_names_and_other_files_are_counted(archive: Path) -> None:
    inventory = take("in", archive / "out")
    assert names(inventory.pending) == ["b.mp4", "films/A.MOV"]
    assert (inventory.total, inventory.other_files, inventory.done) == (2, 2, ())


def test_which_names_are_videos_is_a_setting(archive: Path) -> None:
    assert names(take("in", "out", video_suffixes=("jpg",)).pending) == ["films/poster.jpg"]


def test_work_lies_in_the_destination_unless_it_is_named(archive: Path) -> None:
    assert take("in", "out").job.work_url == str(archive / "out" / "_restore" / "work")
    assert take("in", "out", work="scratch").job.work_url == str(archive / "scratch")


def test_taking_stock_writes_nothing(archive: Path) -> None:
    take("in", "out")
    assert not (archive / "out").exists()


def test_what_is_published_and_unchanged_is_done(archive: Path) -> None:
    first = take("in", "out")
    published(first, first.pending[:1], archive / "out")
    second = take("in", "out")
    assert list(second.done) == names(first.pending[:1])
    assert names(second.pending) == names(first.pending[1:])


@pytest.mark.parametrize("done", [True, False])
def test_who_has_nothing_to_do_takes_away_the_lease_of_a_run_that_was_killed(archive: Path, done: bool) -> None:
    first = take("in", "out")
    published(first, first.pending if done else first.pending[:1], archive / "out")
    lease = archive / "out" / "_restore" / "lease" / "00000001.json"
    lease.parent.mkdir()
    lease.write_text("{}")  # given back by who may not delete it
    take("in", "out")
    assert lease.exists() != done  # who has something to do takes it over


def test_other_settings_make_everything_pending(archive: Path) -> None:
    first = take("in", "out")
    published(first, first.pending, archive / "out")
    assert len(take("in", "out").done) == 2
    assert len(take("in", "out", threshold=0.25).pending) == 2
    assert len(take("in", "out", crf=20.0).pending) == 2


def test_force_makes_everything_pending(archive: Path) -> None:
    first = take("in", "out")
    published(first, first.pending, archive / "out")
    assert len(take("in", "out", force=True).pending) == 2


def test_a_source_that_changed_is_pending(archive: Path) -> None:
    first = take("in", "out")
    published(first, first.pending, archive / "out")
    (archive / "in" / "b.mp4").write_bytes(b"another version")
    assert names(take("in", "out").pending) == ["b.mp4"]


@pytest.mark.parametrize("harm", ["deleted", "cut", "without a record", "being replaced"])
def test_a_published_file_that_was_harmed_is_pending(archive: Path, harm: str) -> None:
    first = take("in", "out")
    published(first, first.pending, archive / "out")
    if harm == "deleted":
        (archive / "out" / "b.mp4").unlink()
    elif harm == "without a record":
        (archive / "out" / "b.mp4.restoration.json").unlink()
    elif harm == "being replaced":
        (archive / "out" / "b.mp4.restoration.json").write_bytes(b"")
    else:
        (archive / "out" / "b.mp4").write_bytes(b"res")
    assert names(take("in", "out").pending) == ["b.mp4"]


def failed(archive: Path, **how: Any) -> VideoRecord:
    """b.mp4 failed in an earlier run, A.MOV was published."""
    first = take("in", "out")
    records = published(first, first.pending, archive / "out")
    record = replace(
        records["b.mp4"], status="failed", stage="plan", error="x", output=None, output_bytes=None, failed_runs=1,
        **{"final_after_runs": 1, "failed_by": making_version(), **how},
    )  # fmt: skip
    write_records({**records, "b.mp4": record}, archive / "out")
    return record


@pytest.mark.parametrize("how", [{"final_after_runs": None}, {"final_after_runs": 3}, {"failed_by": "an older one"}])
def test_a_video_whose_failure_may_pass_is_tried_again(archive: Path, how: dict[str, Any]) -> None:
    failed(archive, **how)
    inventory = take("in", "out")
    assert (names(inventory.pending), inventory.given_up) == (["b.mp4"], ())


def test_a_video_that_failed_for_good_is_left_alone_and_still_told(archive: Path) -> None:
    record = failed(archive)
    inventory = take("in", "out")
    assert (inventory.pending, inventory.given_up, inventory.total) == ((), (record,), 2)
    assert inventory.done == ("films/A.MOV",)


def test_a_video_that_failed_for_good_is_tried_again_when_asked_or_when_something_changed(archive: Path) -> None:
    failed(archive)
    settings = resolve_settings(source="in", destination="out")
    assert names(take_inventory(settings, "run", retry_failed=True).pending) == ["b.mp4"]
    assert len(take("in", "out", force=True).pending) == 2
    assert len(take("in", "out", threshold=0.25).pending) == 2
    (archive / "in" / "b.mp4").write_bytes(b"another version")
    assert names(take("in", "out").pending) == ["b.mp4"]


def test_a_single_video_goes_into_a_folder(archive: Path) -> None:
    inventory = take("in/films/A.MOV", "out")
    assert (names(inventory.pending), inventory.job.rename) == (["A.MOV"], None)
    assert inventory.job.destination_url == str(archive / "out")


def test_a_single_video_may_get_a_new_name(archive: Path) -> None:
    inventory = take("in/b.mp4", "out/better.mp4")
    assert (inventory.job.rename, inventory.job.destination_url) == ("better.mp4", str(archive / "out"))


def test_a_single_video_into_a_folder_whose_name_looks_like_a_video(archive: Path) -> None:
    (archive / "odd.mp4").mkdir()
    assert take("in/b.mp4", "odd.mp4").job.rename is None


def test_the_outputs_of_an_earlier_run_are_no_sources(archive: Path) -> None:
    kept = archive / "in" / "_restore" / "work" / "old.mp4"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x")
    assert names(take("in", "out").pending) == ["b.mp4", "films/A.MOV"]


@pytest.mark.parametrize(
    ("source", "destination", "settings", "words"),
    [
        ("nowhere", "out", {}, ("nowhere", "does not exist")),
        ("empty", "out", {}, ("empty", "nothing to restore")),
        ("texts", "out", {}, ("texts", "1 files but no video", ".mp4")),
        ("in", "in/out", {}, ("inside the source", "name another place")),
        ("in", "in", {}, ("inside the source", "name another place")),
        ("in/films", "in", {}, ("inside the destination", "name another place")),
        ("in", "out", {"work": "in/tmp"}, ("work", "inside the source")),
        ("in", "out", {"work": "out"}, ("work", "out/_restore")),
        ("in", "out", {"work": "out/tmp"}, ("work", "out/_restore")),
        ("in/b.mp4", "in", {}, ("overwrite the source",)),
        ("in/b.mp4", "in/b.mp4", {}, ("overwrite the source",)),
        ("in/b.mp4", "out/b.mkv", {}, ("extension", ".mp4")),
        ("in", "file", {}, ("destination", "file")),
        ("in", "/sys/nothing", {}, ("destination", "not allowed to write")),  # refused to root, too
        ("in", "out", {"work": "file/work"}, ("work", "file")),
        ("ftp://host/a", "out", {}, ("ftp://", "not supported")),
        ("in", "s3://", {}, ("names no bucket",)),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused_and_nothing_is_written(
    archive: Path, source: str, destination: str, settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    (archive / "empty").mkdir()
    (archive / "texts").mkdir()
    (archive / "texts" / "a.txt").write_text("x")
    (archive / "file").write_text("x")
    before = sorted(archive.rglob("*"))
    with pytest.raises(UsageError) as raised:
        take(source, destination, **settings)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(archive.rglob("*")) == before


def test_a_source_that_a_link_hides_in_the_destination_is_found(archive: Path) -> None:
    (archive / "link").symlink_to(archive / "in")
    with pytest.raises(UsageError, match="inside the source"):
        take("in", "link/out")


@pytest.mark.parametrize(("source", "missing"), [(None, "source"), ("in", "destination")])
def test_a_place_that_is_not_given_is_asked_for(source: str | None, missing: str) -> None:
    with pytest.raises(UsageError, match=f"no {missing} given.*RESTORE_{missing.upper()}"):
        take_inventory(resolve_settings(source=source), "run")


def test_weights_that_are_not_the_released_ones_are_refused(
    archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from deblur_core.models import registry, weights_file

    for name in ("default.safetensors", "selector.safetensors"):
        (tmp_path / name).write_bytes(b"not what was trained")
    monkeypatch.setattr(weights_file, "WEIGHTS_FOLDER", tmp_path)
    registry.check_weights.cache_clear()
    with pytest.raises(UsageError, match="not the released ones"):
        take("in", "out")
    assert not (archive / "out").exists()


@pytest.mark.parametrize("destination", ["films/b.mp4", "films"])
def test_a_source_is_not_overwritten_through_a_link(archive: Path, destination: str) -> None:
    (archive / "films").mkdir()
    (archive / "links").mkdir()
    (archive / "in" / "b.mp4").rename(archive / "films" / "b.mp4")
    (archive / "links" / "b.mp4").symlink_to(archive / "films" / "b.mp4")
    with pytest.raises(UsageError, match="overwrite the source"):
        take("links/b.mp4", destination)


def test_what_is_published_under_another_name_is_not_done(archive: Path) -> None:
    first = take("in/b.mp4", "out")
    published(first, first.pending, archive / "out")
    assert take("in/b.mp4", "out").done == ("b.mp4",)
    assert names(take("in/b.mp4", "out/second.mp4").pending) == ["b.mp4"]


def test_videos_behind_links_that_are_not_followed_are_not_left_out(archive: Path) -> None:
    """They fail when they are planned, each with what is wrong with its link."""
    (archive / "elsewhere").mkdir()
    (archive / "elsewhere" / "c.mp4").write_bytes(b"c")
    (archive / "in" / "c.mp4").symlink_to(archive / "elsewhere" / "c.mp4")
    (archive / "in" / "gone.mp4").symlink_to(archive / "nowhere")
    (archive / "in" / "folder").symlink_to(archive / "elsewhere")
    inventory = take("in", "out")
    assert names(inventory.pending) == ["b.mp4", "c.mp4", "films/A.MOV", "gone.mp4"]
    assert inventory.other_files == 3
