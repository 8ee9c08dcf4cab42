"""The stages one after the other in this process, without Ray: what each leaves behind and when it is used again."""

import gc
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import DeclinedVideoError, ObjectChangedError, StorageError
from deblur_core.manifests.frames import from_bytes
from deblur_core.manifests.videos import VideoRecord
from deblur_core.verdict import VerdictLimits
from tests.media import frame_hashes, frame_times, make_clip, packet_hashes, packet_times
from tests.workers.shaken_clip import SHAKEN, shaken_clip
from workers.actors import Stage, build_stage
from workers.job import Job, RestoreOptions, SegmentTask, VideoTask
from workers.planned_video import PlannedVideos, Stores
from workers.results import Call, Planned, Published
from workers.video_state import VideoState

pytestmark = pytest.mark.usefixtures("one_restorer")

SHAKEN_FRAMES = {number for first, stop in SHAKEN for number in range(first, stop)}
NOTHING_IS_GOOD_ENOUGH = VerdictLimits(sharpness_gain=1e9)


@dataclass
class Line:
    """The stages in one process, fed as the pipeline feeds them. Counts calls that did work and calls that did not."""

    job: Job
    calls: Counter[str] = field(default_factory=Counter)
    reused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.stores = Stores(self.job)
        self._videos = PlannedVideos(self.job, self.stores)
        self._stages: dict[str, Stage] = {}

    def run(self, stage: str, task: Any) -> tuple[Any, bool]:
        if stage not in self._stages:
            self._stages[stage] = build_stage(stage, self.job, self.stores, self._videos)
        result, reused = self._stages[stage].run(task)
        (self.reused if reused else self.calls)[stage] += 1
        return result, reused

    def restore(self, video: str, until: str = "") -> VideoRecord | None:
        """All calls of a video, as its state allows them, but those of the stage `until`."""
        task = self.task(video)
        state, waiting = VideoState(task, 0), deque([Call("plan", task)])
        while waiting:
            call = waiting.popleft()
            if call.stage == until:
                continue
            result, _ = self.run(call.stage, call.task)
            if isinstance(result, Published) or (isinstance(result, Planned) and result.record is not None):
                return result.record
            waiting += self._next(state, call, result)
        return None

    def _next(self, state: VideoState, call: Call, result: Any) -> list[Call]:
        if call.stage == "plan":
            return state.planned(result)
        if call.stage == "classify":
            return state.classified(call.task.number, result.blurred)
        if call.stage == "deblur":
            return state.deblurred(call.task.number, result.restored)
        return state.encoded(call.task.number)

    def task(self, video: str) -> VideoTask:
        info = self.stores.source.head(video)
        return VideoTask(video, info.etag, info.size_bytes)

    def manifest(self, video: str) -> list[dict[str, Any]]:
        key = self.job.manifest_key(self.task(video))
        rows: list[dict[str, Any]] = from_bytes(self.stores.destination.read(key), key)[0].to_pylist()
        return rows


def job_in(folder: Path, **options: Any) -> Job:
    chosen = RestoreOptions(segment_frames=24, **options)
    out = folder / "out"
    return Job("run", str(folder / "in"), str(out), str(out / "_restore" / "work"), chosen, device="cpu")


def with_options(job: Job, **options: Any) -> Job:
    return replace(job, run_id="later", options=replace(job.options, **options))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Line, Path, VideoRecord]]:
    folder = tmp_path_factory.mktemp("stages")
    (folder / "in").mkdir()
    shaken_clip(folder / "in" / "clip.mp4")
    line = Line(job_in(folder))
    record = line.restore("clip.mp4")
    assert record is not None
    yield line, folder, record


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def test_a_published_video_leaves_no_thread_and_no_open_file(archive: Path) -> None:
    for name in ("first.mp4", "second.mp4"):
        shaken_clip(archive / "in" / name, frames=16, shaken=((4, 8),), size=(96, 64), gop=8)
    line, held = Line(job_in(archive)), [Path("/proc/self/task"), Path("/proc/self/fd")]
    line.restore("first.mp4")  # loads what stays
    gc.collect()
    gc.disable()  # nothing is to wait for the collector: it comes by after hundreds of videos
    try:
        before = [len(list(each.iterdir())) for each in held]
        record = line.restore("second.mp4")
        assert [len(list(each.iterdir())) for each in held] == before
        assert record is not None and record.restored > 0
    finally:
        gc.enable()


def test_the_shaken_frames_are_labelled_and_restored(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, _, record = finished
    rows = line.manifest("clip.mp4")
    blurred = {row["frame"] for row in rows if row["is_blurred"]}
    assert blurred >= SHAKEN_FRAMES
    assert len(blurred) < len(rows) // 2
    assert record.blurred == len(blurred) == record.restored + record.rejected
    assert record.status == "restored"
    assert {row["action"] for row in rows if not row["is_blurred"]} == {"kept"}
    assert "kept" not in {row["action"] for row in rows if row["is_blurred"]}


def test_times_and_sound_are_those_of_the_source(finished: tuple[Line, Path, VideoRecord]) -> None:
    _, folder, _ = finished
    source, result = folder / "in" / "clip.mp4", folder / "out" / "clip.mp4"
    assert frame_times(result) == frame_times(source)
    assert packet_hashes(result, "audio") == packet_hashes(source, "audio")
    assert packet_times(result, "audio") == packet_times(source, "audio")


def test_the_restored_frames_are_what_changed(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, folder, _ = finished
    before, after = frame_hashes(folder / "in" / "clip.mp4"), frame_hashes(folder / "out" / "clip.mp4")
    restored = [row["frame"] for row in line.manifest("clip.mp4") if row["action"] == "restored"]
    assert restored
    assert all(before[number] != after[number] for number in restored)


def test_a_gop_without_a_restored_frame_keeps_its_bytes(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, folder, record = finished
    restored = {row["frame"] for row in line.manifest("clip.mp4") if row["action"] == "restored"}
    assert not restored & set(range(36, 48))
    before, after = (packet_hashes(folder / place / "clip.mp4", "video") for place in ("in", "out"))
    same = [old == new for old, new in zip(before, after, strict=True)]
    assert all(same[36:])
    assert (record.carried, record.reencoded_because) == (sum(same), None)
    assert sum(same) <= 48 - len(restored)


def test_a_restored_frame_is_sharper_and_says_who_restored_it(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, _, _ = finished
    for row in line.manifest("clip.mp4"):
        if row["action"] == "restored":
            assert row["restorer"] == "default"
            assert row["sharpness_after"] > row["sharpness_before"]
        elif row["action"] == "kept":
            assert (row["restorer"], row["sharpness_before"], row["sharpness_after"]) == (None, None, None)


def test_segments_are_whole_gops_and_the_manifest_numbers_them(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, _, _ = finished
    rows = line.manifest("clip.mp4")
    assert [row["segment"] for row in rows] == [0] * 24 + [1] * 24
    assert rows[0]["is_keyframe"] and rows[24]["is_keyframe"]


def test_nothing_temporary_is_left_after_publishing(finished: tuple[Line, Path, VideoRecord]) -> None:
    _, folder, _ = finished
    left = {str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*") if path.is_file()}
    assert left == {"clip.mp4", "clip.mp4.restoration.json", "_restore/manifests/clip.mp4/frames.parquet"}


def test_a_published_video_is_recognised_by_its_manifest(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, _, record = finished
    again = Line(line.job)
    assert again.restore("clip.mp4") == record
    assert (again.calls, again.reused) == (Counter(), Counter(plan=1))


def test_under_force_what_an_earlier_run_published_is_made_again_and_what_this_one_did_is_not(archive: Path) -> None:
    shaken_clip(archive / "in" / "clip.mp4")
    job = job_in(archive)
    forced = replace(job, run_id="second", salt="second")
    assert Line(job).restore("clip.mp4") is not None
    once, twice, after = Line(forced), Line(forced), Line(replace(job, run_id="third"))
    record = once.restore("clip.mp4")
    assert record is not None and once.reused == Counter() and once.calls["publish"] == 1
    assert (twice.restore("clip.mp4"), twice.reused) == (record, Counter(plan=1))
    assert (after.restore("clip.mp4"), after.reused) == (record, Counter(plan=1))


def test_what_was_done_before_a_kill_is_not_done_again(archive: Path) -> None:
    shaken_clip(archive / "in" / "clip.mp4")
    first, second = Line(job_in(archive)), Line(job_in(archive))
    assert first.restore("clip.mp4", until="publish") is None
    assert second.restore("clip.mp4") is not None
    assert second.calls == Counter(publish=1)
    assert second.reused == first.calls


def test_only_gops_with_restored_frames_are_encoded_unless_all_are_asked_for(archive: Path) -> None:
    source = shaken_clip(archive / "in" / "clip.mp4", shaken=((2, 6),))
    line, whole = Line(job_in(archive)), Line(with_options(job_in(archive), reencode=True))
    assert line.restore("clip.mp4", until="publish") is None
    assert whole.restore("clip.mp4", until="publish") is None
    assert (whole.calls, whole.reused["deblur"]) == (Counter(assemble=2), line.calls["deblur"])
    first, second = (
        [job.part_key(SegmentTask(line.task("clip.mp4"), 0, n, n + 24)) for n in (0, 24)]
        for job in (line.job, whole.job)
    )
    assert [line.stores.work.exists(key) for key in [*first, *second]] == [True, False, True, True]
    record = whole.restore("clip.mp4")
    assert record is not None
    assert (record.carried, record.reencoded_because) == (0, "that was asked for (--reencode)")
    assert not set(packet_hashes(archive / "out" / "clip.mp4", "video")) & set(packet_hashes(source, "video"))


def test_a_kill_between_manifest_and_tidying_leaves_nothing_for_ever(archive: Path) -> None:
    make_clip(archive / "in" / "clip.mp4", frames=12, size=(96, 64))
    line = Line(job_in(archive))
    line.restore("clip.mp4", until="publish")
    index = line.job.index_key(line.task("clip.mp4"))
    kept = line.stores.work.read(index)
    line.restore("clip.mp4")
    line.stores.work.put(index, kept)
    Line(line.job).restore("clip.mp4")
    assert list(line.stores.work.list()) == []


def test_a_cut_output_is_made_again(archive: Path) -> None:
    source = make_clip(archive / "in" / "clip.mp4", frames=12, size=(96, 64))
    Line(job_in(archive)).restore("clip.mp4")
    (archive / "out" / "clip.mp4").write_bytes(b"cut")
    Line(job_in(archive)).restore("clip.mp4")
    assert (archive / "out" / "clip.mp4").read_bytes() == source.read_bytes()


def test_another_threshold_reuses_the_labels_of_the_manifest(archive: Path) -> None:
    source = make_clip(archive / "in" / "clip.mp4", frames=12, size=(96, 64))
    job = job_in(archive)
    Line(job).restore("clip.mp4")
    again = Line(with_options(job, threshold=0.0, limits=NOTHING_IS_GOOD_ENOUGH))
    record = again.restore("clip.mp4")
    assert record is not None
    assert (again.calls["classify"], again.reused["classify"]) == (0, 1)
    assert (record.blurred, record.rejected) == (12, 12)
    assert (archive / "out" / "clip.mp4").read_bytes() == source.read_bytes()


def test_another_version_of_the_source_takes_no_label_of_the_old_one(archive: Path) -> None:
    make_clip(archive / "in" / "clip.mp4", frames=24, size=(96, 64))
    Line(job_in(archive)).restore("clip.mp4")
    make_clip(archive / "in" / "clip.mp4", frames=24, size=(96, 64), seed=5)
    again = Line(job_in(archive))
    again.restore("clip.mp4")
    assert again.reused == Counter()
    assert again.calls["classify"] == 1


def test_rejected_frames_are_named_and_the_video_is_a_byte_copy(archive: Path) -> None:
    source = shaken_clip(archive / "in" / "clip.mp4", frames=24, shaken=((8, 14),))
    line = Line(job_in(archive, limits=NOTHING_IS_GOOD_ENOUGH))
    record = line.restore("clip.mp4")
    assert record is not None
    rejected = [row for row in line.manifest("clip.mp4") if row["action"] == "rejected"]
    assert (record.status, record.restored, record.rejected) == ("unchanged", 0, len(rejected))
    assert {row["frame"] for row in rejected} >= set(range(8, 14))
    assert all(row["restorer"] == "default" and row["sharpness_after"] is not None for row in rejected)
    assert (archive / "out" / "clip.mp4").read_bytes() == source.read_bytes()


def test_with_a_stride_only_the_measured_frames_are_marked_as_such(archive: Path) -> None:
    make_clip(archive / "in" / "clip.mp4", frames=24, size=(96, 64))
    line = Line(job_in(archive, stride=10))
    line.restore("clip.mp4")
    rows = line.manifest("clip.mp4")
    assert [row["frame"] for row in rows if row["measured"]] == [5, 15, 22]
    assert len({row["blur_probability"] for row in rows[:10]}) == 1


def test_a_measured_frame_is_judged_by_others_of_its_video(archive: Path) -> None:
    """Two measurements speak for all 24 frames; by these two alone the first would not be told from a soft picture."""
    shaken_clip(archive / "in" / "clip.mp4", frames=24, shaken=((4, 9), (15, 21)))
    line = Line(job_in(archive, stride=12))
    line.restore("clip.mp4")
    rows = line.manifest("clip.mp4")
    assert [row["frame"] for row in rows if row["measured"]] == [6, 18]
    assert all(row["is_blurred"] for row in rows)


def test_a_video_behind_a_link_that_leads_out_fails_with_that_reason(archive: Path, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=12, size=(96, 64))
    (archive / "in" / "clip.mp4").symlink_to(tmp_path / "clip.mp4")
    with pytest.raises(StorageError, match=r"leads out of .*through a symbolic link"):
        Line(job_in(archive)).run("plan", VideoTask("clip.mp4", "of a link", 0))


def test_a_copy_under_the_old_name_goes_when_the_result_needs_another_container(archive: Path) -> None:
    shaken_clip(archive / "in" / "clip.avi", frames=24, shaken=((8, 14),), codec="mpeg4")
    job = job_in(archive, limits=NOTHING_IS_GOOD_ENOUGH)
    Line(job).restore("clip.avi")
    assert (archive / "out" / "clip.avi").is_file()
    anything_goes = VerdictLimits(sharpness_gain=0.0, reblur_error=1.0, unexplained=1.0)
    Line(with_options(job, limits=anything_goes)).restore("clip.avi")
    assert sorted(path.name for path in (archive / "out").iterdir()) == [
        "_restore",
        "clip.avi.mkv",
        "clip.avi.mkv.restoration.json",
    ]


def test_two_videos_never_share_an_output(archive: Path) -> None:
    """`clip.avi` would become `clip.avi.mkv`, which another video of the archive is called."""
    shaken_clip(archive / "in" / "clip.avi", frames=24, shaken=((8, 14),), codec="mpeg4")
    make_clip(archive / "in" / "clip.avi.mkv", frames=12, size=(96, 64))
    line = Line(job_in(archive))
    planned, _ = line.run("plan", line.task("clip.avi"))
    assert planned.cannot_rebuild is not None
    assert "clip.avi.mkv" in planned.cannot_rebuild


def test_a_source_that_changes_while_it_is_worked_on_is_noticed(archive: Path) -> None:
    clip = make_clip(archive / "in" / "clip.mp4", frames=24, size=(96, 64))
    line = Line(job_in(archive))
    task = line.task("clip.mp4")
    line.run("plan", task)
    clip.write_bytes(clip.read_bytes() + b"more")
    with pytest.raises(ObjectChangedError, match=r"clip\.mp4"):
        line.run("classify", SegmentTask(task, 0, 0, 24))


def test_a_codec_that_the_container_cannot_hold_is_declined_before_any_work(archive: Path) -> None:
    make_clip(archive / "in" / "clip.webm", codec="libvpx-vp9", frames=12, size=(96, 64), audio=False)
    line = Line(job_in(archive, codec="h264"))
    planned, _ = line.run("plan", line.task("clip.webm"))
    assert planned.cannot_rebuild is not None
    with pytest.raises(DeclinedVideoError):
        line.run("assemble", SegmentTask(line.task("clip.webm"), 0, 0, 12))
