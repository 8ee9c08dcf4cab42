"""The sums of a run: the object that --json prints, the exit code, and the words at the end."""

import json
from dataclasses import replace

from deblur_core.manifests.videos import VideoRecord
from flows.summary import Summary, Tally, lines, markdown, summarize
from workers.progress import StageProgress

RESTORED = VideoRecord(
    "b.mp4", "etag", 1000, "print", "restored", None, None, "b.mp4", 900, 100, 30, 25, 5, "run", 1_700_000_000_000
)  # fmt: skip
UNCHANGED = replace(RESTORED, video="c.mp4", status="unchanged", frames=50, blurred=2, restored=0, rejected=2)
FAILED = replace(
    RESTORED, video="a.mp4", status="failed", stage="plan", error="a.mp4: is no video", output=None, frames=7, blurred=7
)
SUMMARY = summarize("run", 12.34567, Tally.of([RESTORED, UNCHANGED, FAILED], skipped=4))


def test_the_json_has_the_agreed_keys_and_nothing_else() -> None:
    assert json.loads(json.dumps(SUMMARY.to_json())) == {
        "run_id": "run",
        "seconds": 12.346,
        "videos": {"total": 7, "restored": 1, "unchanged": 1, "skipped": 4, "failed": 1},
        "frames": {"total": 150, "blurred": 32, "restored": 25, "rejected": 7},
        "failures": [{"video": "a.mp4", "stage": "plan", "error": "a.mp4: is no video"}],
    }


def test_failures_are_sorted_by_video() -> None:
    others = [replace(FAILED, video=name) for name in ("z.mp4", "m.mp4")]
    assert [failure.video for failure in summarize("run", 1.0, Tally.of(others)).failures] == ["m.mp4", "z.mp4"]


def test_shards_add_up_and_what_was_published_before_counts_as_skipped() -> None:
    tally, other = Tally.of([RESTORED], skipped=4), Tally()
    other.add(FAILED)
    other.add(UNCHANGED)
    tally.include(other)
    assert summarize("run", 12.34567, tally) == SUMMARY
    tally.add(RESTORED, skipped=True)
    again = summarize("run", 12.34567, tally)
    assert (again.videos, again.frames) == ({**SUMMARY.videos, "total": 8, "skipped": 5}, SUMMARY.frames)


def test_the_exit_code_says_whether_a_video_failed() -> None:
    assert SUMMARY.exit_code == 3
    assert summarize("run", 1.0, Tally.of([RESTORED])).exit_code == 0


def test_what_was_not_tried_again_is_told_with_how_to() -> None:
    said = " ".join(lines(replace(SUMMARY, not_retried=1), "out"))
    assert "FAILED a.mp4 [plan]" in said
    assert "1 of them failed for good in an earlier run and were not tried again" in said
    assert "--retry-failed" in said
    assert "not tried again" not in " ".join(lines(SUMMARY, "out"))


def test_a_run_without_work_says_so() -> None:
    assert list(lines(summarize("run", 1.0, Tally.of([], skipped=3)), "/out")) == [
        "Nothing to do: all 3 videos are published already and unchanged (/out)."
    ]


def test_the_end_in_words_names_every_failure() -> None:
    text = "\n".join(lines(SUMMARY, "/out"))
    assert "FAILED a.mp4 [plan] a.mp4: is no video" in text
    assert "1 restored, 1 unchanged (copied), 4 skipped, 1 failed" in text
    assert "32 blurred, 25 restored, 7 kept because the restored frame was not better" in text
    assert text.endswith("Published in /out")


def test_the_artifact_of_a_flow_run_holds_the_same_numbers() -> None:
    text = markdown(SUMMARY, "s3://b/out")
    assert "| restored | 25 |" in text
    assert "- `a.mp4` (plan): a.mp4: is no video" in text
    assert "none" in markdown(Summary("run", 1.0, {}, {}, ()), "/out")


def test_progress_counts_work_done_apart_from_work_found_done() -> None:
    stage = StageProgress().queued(100).finished(60, 2.0, reused=False).finished(40, 0.1, reused=True)
    assert (stage.calls, stage.reused, stage.frames, stage.queued_frames) == (1, 1, 100, 0)
    assert stage.busy_seconds == 2.1
