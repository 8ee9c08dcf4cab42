"""The page of the chaos suite: sums are right, and what did not hold stands out."""

from pathlib import Path

from tests.chaos.account import Injection
from tests.chaos.report import SECTIONS, page
from tests.chaos.results import Result, keep, kept
from tests.chaos.scenarios import SCENARIOS

GOOD = Result(
    "crashes 1",
    60.0,
    (
        Injection("kill", "done again", 2.0, 1, 1),
        Injection("kill", "done again", 6.0, 1, 0),
        Injection("kill", "the call went on", 4.0, 1, 1),
    ),
    (),
)
BAD = Result(
    "full disks 1", 30.0, (Injection("full", "never done", None, 1, 0, "not done after it"),), ("a.mp4 is half",)
)
FACTS = {"with four nodes": 40.0, "with one of them lost": 48.5, "lost after": 10.0, "its share": 10.0, "it cost": 8.5}


def test_each_kind_has_a_row_with_its_sums() -> None:
    text = page([GOOD], "7", 2, 59)
    assert "| kill | 3 | done again (2); the call went on (1) | 4.0 s | 6.0 s | 3 | 2 |" in text
    assert "**3 faults of 1 kinds** in 1 of 59 trials, 1 minutes on a machine with 2 cores (`make chaos RUN=7`)" in text
    assert "all of them held" in text and "did not hold" not in text
    assert "3 faults hit 3 calls" in text and "2 of them were carried out anew" in text


def test_each_part_of_the_world_has_its_sum_and_its_table() -> None:
    text = page([GOOD, BAD], "1", 2, 59)
    assert "| [Workers](#workers) | 1 | 3 | 3 | 4.0 s | 6.0 s |" in text
    assert "| [Disks](#disks) | 1 | 1 | 0 |  |  |" in text
    assert "## Workers" in text and "## Disks" in text and "## S3" not in text


def test_every_family_of_trials_has_its_place_on_the_page() -> None:
    placed = [name for _, _, families in SECTIONS for name in families]
    assert sorted(placed) == sorted(SCENARIOS)


def test_what_did_not_hold_stands_out() -> None:
    text = page([GOOD, BAD], "1", 2, 59)
    assert "**1 of the trials did not hold**" in text
    assert "| full | 1 | **not done after it** |" in text
    assert "- full disks 1: a.mp4 is half" in text


def test_what_a_lost_node_costs_is_told() -> None:
    text = page([Result("one of four nodes 1", 90.0, (), (), facts=FACTS)], "1", 2, 59)
    assert "| 40.0 s | 48.5 s | 10.0 s | 10.0 s | 8.5 s |" in text


def test_results_are_kept_as_they_come_and_the_last_of_a_trial_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for result in (GOOD, BAD, GOOD):
        keep(path, result)
    assert kept(path) == [GOOD, BAD]
