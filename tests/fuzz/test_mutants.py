"""The quick part of `make mutants`: a few changed files through the command line, and proof that it would notice."""

import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.flows.command import CommandLine
from tests.fuzz.__main__ import cases_of, write
from tests.fuzz.blurred_seeds import blurred_seeds
from tests.fuzz.mutant_judge import MEMORY_BYTES, is_internal, judged
from tests.fuzz.mutant_run import Seen
from tests.fuzz.mutants import QUICKEST, run_batch, totals
from tests.fuzz.seeds import Seed

_QUICK_FILES = 11

HELD = Seen(
    videos=frozenset({"a.mp4", "b.avi", "c.mkv"}),
    code=3,
    stdout=json.dumps(
        {
            "videos": {"total": 3, "restored": 1, "unchanged": 1, "skipped": 0, "failed": 1},
            "failures": [{"video": "c.mkv", "stage": "plan", "error": "c.mkv: is cut short"}],
        }
    ),
    stderr="",
    seconds=30.0,
    peaks={"driver 1": 300 << 20, "actor 2": 500 << 20},
    records={
        "a.mp4": {"status": "unchanged", "stage": None, "error": None, "output": "a.mp4"},
        "b.avi": {"status": "restored", "stage": None, "error": None, "output": "b.avi.mkv"},
        "c.mkv": {"status": "failed", "stage": "plan", "error": "c.mkv: is cut short", "output": None},
    },
    files=(
        "_restore/manifests/a.mp4/frames.parquet",
        "_restore/manifests/b.avi/frames.parquet",
        "_restore/videos.parquet",
        "_restore/work/c.mkv/0123/index-4.parquet",
        "a.mp4",
        "a.mp4.restoration.json",
        "b.avi.mkv",
        "b.avi.mkv.restoration.json",
    ),
    temporary=(),
    left="",
    verified_code=3,
    verified={"problems": [{"video": "c.mkv", "output": None, "problems": ["is not published"]}]},
)


def failed_with(reason: str, stage: str | None = "plan") -> Seen:
    row = {"status": "failed", "stage": stage, "error": reason, "output": None}
    return replace(HELD, records={**HELD.records, "c.mkv": row})


def counted(**videos: int) -> Seen:
    told: dict[str, Any] = json.loads(HELD.stdout)
    return replace(HELD, stdout=json.dumps({**told, "videos": {**told["videos"], **videos}}))


@pytest.mark.integration
def test_no_changed_file_ends_a_run_or_is_published_wrong(tmp_path: Path) -> None:
    seeds = blurred_seeds(quick=True)
    (tmp_path / "seeds").mkdir()
    cases = islice(cases_of(write(seeds, tmp_path / "seeds"), "quick"), _QUICK_FILES)
    sound = [Seed(seed.name, seed.kind, seed.data) for seed in seeds[:1]]
    batch = run_batch(CommandLine(tmp_path / "home"), list(cases), QUICKEST, sound)
    assert batch.findings == []
    statuses = Counter(row["status"] for row in batch.seen.records.values())
    assert statuses.total() == _QUICK_FILES + 1
    assert statuses["failed"] > 1 and batch.seen.records[sound[0].name]["status"] == "restored"
    assert totals([batch])["proved"] == statuses["restored"] + statuses["unchanged"]
    assert len(batch.seen.peaks) > 5 and min(batch.seen.peaks.values()) > 0


def test_a_run_that_holds_has_no_finding() -> None:
    assert judged(HELD) == []
    of_a_master = ("b.avi.mkv.framemd5", "b.avi.mkv.source.framemd5")
    assert judged(replace(HELD, files=(*HELD.files, *of_a_master))) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(HELD, code=None), "had not ended"),
        (replace(HELD, code=1, stderr="restore-archive: broken"), "ended with 1"),
        (replace(HELD, code=0), "the exit code is 0"),
        (replace(HELD, stderr="Traceback (most recent call last):"), "told of its inside"),
        (replace(HELD, peaks={"actor 2": MEMORY_BYTES + 1}), "actor 2 had"),
        (replace(HELD, left="still there after 60 s"), "outlived the run"),
        (replace(HELD, stdout="restored"), "no JSON object"),
        (replace(HELD, videos=HELD.videos | {"d.mp4"}), "summary counts"),
        (replace(HELD, videos=frozenset({"a.mp4", "b.avi", "d.mkv"})), "has no record"),
        (counted(restored=2, total=4), "summary counts"),
        (counted(restored=2, unchanged=0), "records say restored"),
        (counted(failed=0, total=2), "are named"),
        (failed_with(""), "without one clear line"),
        (failed_with("c.mkv: is cut short\nand more"), "without one clear line"),
        (failed_with("c.mkv: is cut short", stage=None), "without one clear line"),
        (failed_with("c.mkv: " + "very " * 300 + "long"), "without one clear line"),
        (failed_with("KeyError: 'pts'"), "only its makers"),
        (failed_with("c.mkv: frames 0 to 11 killed its worker 3 times and is set aside"), "workers down"),
        (failed_with("c.mkv: did not end in time 3 times and is set aside"), "workers down"),
        (replace(HELD, files=(*HELD.files, "c.mkv")), "was not published"),
        (replace(HELD, files=(*HELD.files, "b.avi.mkv.part")), "was not published"),
        (replace(HELD, files=HELD.files[:-1]), "is not there"),
        (replace(HELD, files=(*HELD.files, "b.avi.mkv.framemd5")), "is not there"),
        (replace(HELD, files=(*HELD.files, "c.mkv.framemd5")), "was not published"),
        (replace(HELD, verified={"problems": []}, verified_code=0), "failed, and verifies"),
        (
            replace(
                HELD,
                verified={
                    "problems": [*HELD.verified["problems"], {"video": "a.mp4", "problems": ["frame 3 differs"]}]
                },
            ),
            "frame 3 differs",
        ),
        (replace(HELD, verified={}, verified_code=-11), "verify ended with -11"),
        (replace(HELD, verified_code=0), "verify ended with 0"),
        (replace(HELD, temporary=("restore-archive-x/result.mp4",)), "left in TMPDIR"),
        (replace(HELD, files=(*HELD.files, "_restore/tmp/a")), "left in the destination"),
        (replace(HELD, files=(*HELD.files, "_restore/lease/00000001.json")), "left in the destination"),
        (replace(HELD, files=(*HELD.files, "_restore/work/a.mp4/01/index-4.parquet")), "of no failed video"),
        (replace(HELD, files=(*HELD.files, "_restore/manifests/c.mkv/frames.parquet")), "a manifest of a failed"),
    ],
)
def test_each_breach_is_found(seen: Seen, words: str) -> None:
    assert any(words in finding.what for finding in judged(seen)), judged(seen)


def test_reasons_for_people_are_told_from_a_programs_inside() -> None:
    for_people = [
        "a.mp4: frame 3 does not decode (Invalid data found when processing input)",
        "ValueError.mp4: has no video stream",
        "cannot read /in/a.mp4: no such file",
    ]
    of_inside = [
        "KeyError: 'pts'",
        "StopIteration: ",
        "a.mp4: <av.Packet of #0 at 0x7f21aa00bc40> does not decode",
        "a.mp4: av.error.InvalidDataError while it was read",
        "a.mp4: Traceback (most recent call last)",
    ]
    assert [reason for reason in for_people if is_internal(reason, reason.partition(":")[0])] == []
    assert [reason for reason in of_inside if not is_internal(reason, "a.mp4")] == []
