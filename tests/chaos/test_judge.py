"""The judge of the chaos suite finds what is wrong: a judge that never does would prove nothing."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deblur_core.manifests.videos import VideoRecord, merged, records_to_bytes
from flows.summary import Tally, summarize
from tests.chaos.archive import BROKEN, Archive
from tests.chaos.expected import Expected, expected_of
from tests.chaos.judge import after_faults, after_plain_run, wrong_ending
from tests.chaos.trial import Run, Trial
from tests.flows.archive import Destination
from tests.flows.command import CommandLine
from tests.media import make_clip
from tests.workers.test_stages import Line, job_in

VIDEO = "a.mp4"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of one copy and one broken video, as a run leaves it."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "in").mkdir()
    make_clip(folder / "in" / VIDEO, frames=6, size=(96, 64))
    (folder / "in" / BROKEN).write_bytes(b"no video")
    record = Line(job_in(folder, threshold=1.0)).restore(VIDEO)
    assert record is not None
    failed = replace(record, video=BROKEN, status="failed", stage="plan", error="is cut short", output=None)
    (folder / "out" / "_restore" / "videos.parquet").write_bytes(records_to_bytes(rows(record, failed)))
    summary = summarize("run", 1.0, Tally.of([record, failed])).to_json()
    (folder / "stdout").write_text(json.dumps(summary) + "\n")
    return folder


def rows(*records: VideoRecord) -> list[VideoRecord]:
    return list(merged({}, records).values())


@pytest.fixture
def trial(published: Path, tmp_path: Path) -> Trial:
    """A copy of it to spoil, with the run that is said to have made it."""
    shutil.copytree(published, tmp_path / "archive")
    archive = Archive(published / "in", Destination(published / "out"), (), 1.0)
    trial = Trial("judged", tmp_path / "archive", archive, CommandLine(tmp_path / "home"), random.Random(1))
    trial.runs.append(Run("mark", 3, (published / "stdout").read_text(), "", 0.0, 1.0))
    return trial


def findings(trial: Trial) -> list[str]:
    expected = expected_of(trial.archive)
    return [*after_faults(trial, trial.out, expected), *after_plain_run(trial, trial.out, expected)]


def test_what_is_as_it_should_be_holds(trial: Trial) -> None:
    assert findings(trial) == []


def cut(out: Path) -> None:
    (out / VIDEO).write_bytes((out / VIDEO).read_bytes()[:-100])


def unseal(out: Path) -> None:
    (out / f"{VIDEO}.restoration.json").unlink()


def hide(out: Path) -> None:
    (out / VIDEO).unlink()


def leave_partial(out: Path) -> None:
    (out / "_restore" / "tmp").mkdir()
    (out / "_restore" / "tmp" / ".partial-1").write_bytes(b"half")


def leave_work(out: Path) -> None:
    (out / "_restore" / "work").mkdir(exist_ok=True)
    (out / "_restore" / "work" / "part").write_bytes(b"part")


def leave_scratch(out: Path) -> None:
    (out.parent / "temporary" / "restore-archive-1").mkdir(parents=True)


def forget_records(out: Path) -> None:
    (out / "_restore" / "videos.parquet").write_bytes(records_to_bytes([]))


def show_more(out: Path) -> None:
    (out / "b.mp4").write_bytes(b"nobody asked for it")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (cut, "is visible and is not what"),
        (unseal, "is not visible with its record"),
        (hide, "not published"),
        (leave_partial, "left in the destination"),
        (leave_work, "left in the destination"),
        (leave_scratch, "left in TMPDIR"),
        (forget_records, "no record in videos.parquet"),
        (show_more, "is visible and is not what"),
    ],
)
def test_what_is_wrong_in_the_destination_is_found(trial: Trial, spoil: Callable[[Path], None], word: str) -> None:
    spoil(trial.out.folder)
    assert any(word in found for found in findings(trial)), findings(trial)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda report: {**report, "videos": {**report["videos"], "total": 3}}, "do not add up"),
        (lambda report: {**report, "failures": []}, "failed, and failures are"),
        (lambda report: {**report, "failures": [{**report["failures"][0], "error": ""}]}, "no reason"),
        (lambda report: {**report, "failures": [{**report["failures"][0], "video": VIDEO}]}, "says otherwise"),
        (lambda report: {**report, "frames": {**report["frames"], "restored": 5}}, "its records say otherwise"),
    ],
)
def test_a_report_that_is_not_true_is_found(
    trial: Trial, change: Callable[[dict[str, Any]], dict[str, Any]], word: str
) -> None:
    run = trial.runs[0]
    trial.runs[0] = replace(run, stdout=json.dumps(change(json.loads(run.stdout))) + "\n")
    assert any(word in found for found in findings(trial)), findings(trial)


@pytest.mark.parametrize(
    ("code", "stdout", "stderr"),
    [
        (3, "{}\n{}\n", ""),
        (1, "", "something else"),
        (1, "", "restore-archive: a reason\nTraceback (most recent call last):"),
        (-11, "", ""),
        (77, "", "restore-archive: a reason"),
    ],
)
def test_an_ending_that_says_nothing_is_found(code: int, stdout: str, stderr: str) -> None:
    assert wrong_ending(Run("mark", code, stdout, stderr, 0.0, 1.0))


@pytest.mark.parametrize("code", [1, 2, 130])
def test_a_run_may_end_with_one_line_that_says_why(code: int) -> None:
    assert wrong_ending(Run("mark", code, "", "restore-archive: the disk is full\n", 0.0, 1.0)) == []


def test_a_plain_run_must_bring_all_to_its_end(trial: Trial) -> None:
    expected = Expected({**expected_of(trial.archive).hashes, "b.mp4": frozenset({"0" * 64})})
    assert any("not published: ['b.mp4']" in found for found in after_plain_run(trial, trial.out, expected))
