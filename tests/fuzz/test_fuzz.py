"""The quick part of `make fuzz`: some changed files through every reader, and proof that the fuzzer would notice."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.fuzz.__main__ import cases_of, write
from tests.fuzz.cases import Case, bytes_of
from tests.fuzz.driver import run_cases
from tests.fuzz.seeds import made_seeds

_QUICK_CASES = 60
# Run, number, seed and the other file of cases that once were findings; what they found is told beside each.
_FOUND = (
    ("1", 3, "frames.parquet", "frames.parquet", "frames"),  # pyarrow's own errors came through from damaged manifests
    ("1", 5, "labels.parquet", "labels.parquet", "labels"),
    ("1", 8, "outcomes.parquet", "outcomes.parquet", "outcomes"),
    ("1", 21, "videos.parquet", "videos.parquet", "videos"),
    ("2", 83, "fragments.mp4", "samples.mp4", "media"),  # a fragment led FFmpeg to a place before the file's first byte
    ("2", 311, "h264.ts", "h264.ts", "media"),  # a muxer refused packets in the middle of a rebuilt file
)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    return write(made_seeds(quick=True), tmp_path_factory.mktemp("seeds"))


def test_no_changed_file_gets_through_a_reader(seeds: list[tuple[str, str]]) -> None:
    paths = {Path(path).name: path for _, path in seeds}
    known = [Case(number, run, kind, paths[seed], paths[other]) for run, number, seed, other, kind in _FOUND]
    rounds = cases_of(seeds, "quick")
    results = list(run_cases([*known, *(next(rounds) for _ in range(_QUICK_CASES))]))
    assert [(result.case, result.outcome) for result in results if result.is_finding] == []
    assert len(results) == len(known) + _QUICK_CASES
    kinds = {result.outcome.split(": ")[1] for result in results if result.outcome.startswith("refused")}
    assert {"DamagedVideoError", "StorageError"} <= kinds and any(result.outcome == "ok" for result in results)


def test_a_case_is_made_again_from_its_recipe(seeds: list[tuple[str, str]]) -> None:
    rounds = cases_of(seeds, "again")
    cases = [next(rounds) for _ in range(40)]
    again = [Case(**json.loads(json.dumps(asdict(case)))) for case in cases]
    assert [bytes_of(case) for case in cases] == [bytes_of(case) for case in again]
    changed = [bytes_of(case) != Path(case.seed).read_bytes() for case in cases]
    assert sum(changed) > 35


def test_raw_errors_crashes_hangs_and_bombs_are_found_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    kinds = ["a raw error", "a crash", "a hang", "a bomb", "a refusal"]
    cases = [Case(number, "1", kind, str(path), str(path)) for number, kind in enumerate(kinds)]
    outcomes = [result.outcome for result in run_cases(cases, case_cpu_seconds=3.0)]
    expected = ["finding: _raise: .*KeyError", "finding: the process ended with -11", "finding: it was still at it"]
    expected += ["finding: .*MemoryError", "refused: StorageError: a is refused"]
    for outcome, words in zip(outcomes, expected, strict=True):
        assert re.match(words, outcome, re.DOTALL), outcome
