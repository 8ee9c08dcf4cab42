"""A whole run over a mixed archive: what is published, what is refused, what is written down, and the run after it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flows.archive import BAD, GOOD, Destination
from tests.flows.command import CommandLine
from tests.flows.conftest import MixedRun
from tests.media import frame_hashes, frame_times, packet_hashes, packet_times, stream_kinds

pytestmark = pytest.mark.integration


def test_some_failed_so_the_exit_code_is_3(mixed_run: MixedRun) -> None:
    assert mixed_run.finished.code == 3, mixed_run.finished.stderr


def test_json_is_one_line_of_the_agreed_shape_and_nothing_else(mixed_run: MixedRun) -> None:
    assert len(mixed_run.finished.stdout.splitlines()) == 1
    summary = mixed_run.summary
    assert list(summary) == ["run_id", "seconds", "videos", "frames", "failures"]
    assert summary["videos"] == {"total": 5, "restored": 1, "unchanged": 1, "skipped": 0, "failed": 3}
    assert list(summary["frames"]) == ["total", "blurred", "restored", "rejected"]
    assert summary["frames"]["total"] == 68
    assert summary["frames"]["blurred"] == summary["frames"]["restored"] + summary["frames"]["rejected"]
    assert all(list(failure) == ["video", "stage", "error"] for failure in summary["failures"])


def test_nothing_is_said_on_stderr_with_json(mixed_run: MixedRun) -> None:
    assert mixed_run.finished.stderr == ""


@pytest.mark.parametrize(
    ("video", "words"), [("text.mp4", "text.mp4"), ("cut.mp4", "cut.mp4"), ("sound.mp4", "no video")]
)
def test_a_bad_file_is_named_with_stage_and_reason(mixed_run: MixedRun, video: str, words: str) -> None:
    failure = {each["video"]: each for each in mixed_run.summary["failures"]}[video]
    assert failure["stage"] == "plan"
    assert words in failure["error"]
    assert "\n" not in failure["error"]


def test_nothing_of_a_bad_file_is_published(mixed_run: MixedRun) -> None:
    assert mixed_run.out.published() == sorted(GOOD)
    manifests = [name for name in mixed_run.out.files() if name.startswith("_restore/manifests/")]
    assert manifests == [f"_restore/manifests/{video}/frames.parquet" for video in sorted(GOOD)]


def test_every_published_video_has_its_record_and_is_proved_again(
    mixed_run: MixedRun, command_line: CommandLine
) -> None:
    assert mixed_run.out.sealed() == mixed_run.out.published()
    done = command_line.run("verify", mixed_run.source, mixed_run.out.folder, "--json")
    told = json.loads(done.stdout)
    assert (done.code, done.stderr) == (3, "")
    assert told["videos"] == {"total": 5, "proved": 2, "copies": 1, "wrong": 3}
    assert [each["video"] for each in told["problems"]] == sorted(BAD)
    assert all(each["problems"][0].startswith("is not published: it failed [plan]") for each in told["problems"])


def test_a_sharp_video_is_a_byte_copy(mixed_run: MixedRun) -> None:
    assert (mixed_run.out.folder / "sharp.mp4").read_bytes() == (mixed_run.source / "sharp.mp4").read_bytes()


@pytest.mark.parametrize("video", GOOD)
def test_frames_times_and_sound_are_those_of_the_source(mixed_run: MixedRun, video: str) -> None:
    source, result = mixed_run.source / video, mixed_run.out.folder / video
    assert frame_times(result) == frame_times(source)
    assert stream_kinds(result) == stream_kinds(source)
    assert packet_hashes(result, "audio") == packet_hashes(source, "audio")
    assert packet_times(result, "audio") == packet_times(source, "audio")


def test_the_restored_frames_differ_from_their_originals(mixed_run: MixedRun) -> None:
    video = "films/shaken.mp4"
    before, after = frame_hashes(mixed_run.source / video), frame_hashes(mixed_run.out.folder / video)
    restored = [row["frame"] for row in mixed_run.out.manifest(video) if row["action"] == "restored"]
    assert restored
    assert all(before[number] != after[number] for number in restored)


@pytest.mark.parametrize("video", GOOD)
def test_the_manifest_has_a_row_for_each_frame_with_its_time(mixed_run: MixedRun, video: str) -> None:
    rows = mixed_run.out.manifest(video)
    times = frame_times(mixed_run.source / video)
    assert [row["frame"] for row in rows] == list(range(len(times)))
    assert [row["time_s"] for row in rows] == pytest.approx([float(time) for time in times])
    assert {row["video"] for row in rows} == {video}
    assert {row["source_etag"] for row in rows} == {mixed_run.out.records()[video]["source_etag"]}
    assert all(row["measured"] for row in rows)
    assert all(row["is_blurred"] == (row["blur_probability"] >= 0.5) == (row["action"] != "kept") for row in rows)


def test_the_sums_are_those_of_the_manifests(mixed_run: MixedRun) -> None:
    rows = [row for video in GOOD for row in mixed_run.out.manifest(video)]
    assert mixed_run.summary["frames"] == {
        "total": len(rows),
        "blurred": sum(row["is_blurred"] for row in rows),
        "restored": sum(row["action"] == "restored" for row in rows),
        "rejected": sum(row["action"] == "rejected" for row in rows),
    }


def test_every_video_has_a_record_and_every_published_one_says_where(mixed_run: MixedRun) -> None:
    records = mixed_run.out.records()
    assert sorted(records) == sorted(GOOD + BAD)
    assert {video: records[video]["output"] for video in GOOD} == {video: video for video in GOOD}
    assert all(records[video]["output_bytes"] == (mixed_run.out.folder / video).stat().st_size for video in GOOD)
    assert [(records[video]["status"], records[video]["output"]) for video in BAD] == [("failed", None)] * 3


def test_the_report_of_the_run_says_what_each_stage_did(mixed_run: MixedRun) -> None:
    report = mixed_run.out.report(mixed_run.summary["run_id"])
    assert {name: report[name] for name in mixed_run.summary} == mixed_run.summary
    assert report["other_files"] == 1
    assert report["options"]["threshold"] == 0.5
    assert report["stages"]["publish"]["calls"] == 2
    assert report["stages"]["classify"]["frames"] == 68
    assert all(stage["reused"] == stage["queued_frames"] == 0 for stage in report["stages"].values())


def test_nothing_temporary_is_left(mixed_run: MixedRun, command_line: CommandLine) -> None:
    left = [name for name in mixed_run.out.files() if name.startswith(("_restore/tmp/", "_restore/work/"))]
    assert left == []
    assert list((command_line.home / "temporary").glob("restore-archive*")) == []


def test_the_next_run_has_nothing_to_do_and_tells_of_those_that_failed_for_good(
    mixed_run: MixedRun, command_line: CommandLine
) -> None:
    before = mixed_run.out.files()
    again = command_line.run("run", mixed_run.source, mixed_run.out.folder)
    assert again.code == 3
    assert "0 restored, 0 unchanged (copied), 2 skipped, 3 failed" in again.stdout
    assert all(f"FAILED {video} [" in again.stdout for video in BAD)
    assert "3 of them failed for good in an earlier run and were not tried again" in again.stdout
    assert mixed_run.out.files() == before


def test_retry_failed_skips_what_is_published_and_tries_the_failed_ones_again(
    mixed_run: MixedRun, command_line: CommandLine, tmp_path: Path
) -> None:
    out = Destination(shutil.copytree(mixed_run.out.folder, tmp_path / "out"))
    of_a_killed_forced_run = out.meta / "work" / GOOD[0] / ("0" * 16) / "index.parquet"
    of_a_killed_forced_run.parent.mkdir(parents=True)
    of_a_killed_forced_run.touch()
    again = command_line.run("run", mixed_run.source, out.folder, "--json", "--retry-failed")
    summary = json.loads(again.stdout)
    assert again.code == 3
    assert summary["videos"] == {"total": 5, "restored": 0, "unchanged": 0, "skipped": 2, "failed": 3}
    assert [each["video"] for each in summary["failures"]] == sorted(BAD)
    assert out.report(summary["run_id"])["stages"]["classify"]["calls"] == 0
    assert out.hashes() == mixed_run.out.hashes()
    assert not of_a_killed_forced_run.exists()


def test_a_run_with_nothing_to_do_says_so_at_once(
    mixed_run: MixedRun, command_line: CommandLine, tmp_path: Path
) -> None:
    """Only good videos; the very same files, for their times are part of their version."""
    source = tmp_path / "in"
    shutil.copytree(mixed_run.source, source, copy_function=lambda old, new: Path(new).hardlink_to(old))
    for video in BAD:
        (source / video).unlink()
    again = command_line.run("run", source, mixed_run.out.folder)
    assert (again.code, again.stderr) == (0, "")
    assert again.stdout == (
        f"Nothing to do: all 2 videos are published already and unchanged ({mixed_run.out.folder}).\n"
    )
    assert again.seconds < 15


def test_threshold_zero_leaves_no_frame_as_it_was_found(
    mixed_run: MixedRun, command_line: CommandLine, tmp_path: Path
) -> None:
    done = command_line.run(
        "run", mixed_run.source / "sharp.mp4", tmp_path / "out", "--threshold", 0, "--json", "--work", tmp_path / "work"
    )
    assert done.code == 0, done.stderr
    rows = replace(mixed_run.out, folder=tmp_path / "out").manifest("sharp.mp4")
    assert len(rows) == 20
    assert all(row["is_blurred"] for row in rows)
    assert all(row["action"] in ("restored", "rejected") for row in rows)
    assert json.loads(done.stdout)["frames"]["blurred"] == 20
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []
