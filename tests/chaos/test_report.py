"""The page of the chaos suite: sums are right, and what did not hold stands out."""

from pathlib import Path

from tests.chaos.account import Injection
from tests.chaos.report import page
from tests.chaos.results import Result, keep, kept

GOOD = Result(
    "actors 1",
    60.0,
    (
        Injection("kill", "done again", 2.0, 1, 1),
        Injection("kill", "done again", 6.0, 1, 0),
        Injection("kill", "the call went on", 4.0, 1, 1),
    ),
    (),
)
BAD = Result("disks 1", 30.0, (Injection("full", "never done", None, 1, 0, "not done after it"),), ("a.mp4 is half",))
FACTS = {
    "seconds with four nodes": 40.0,
    "seconds with one of them lost": 48.5,
    "seconds until it was lost": 10.0,
    "seconds that its share allows": 20.0,
}


def test_each_kind_has_a_row_with_its_sums() -> None:
    text = page([GOOD], "7")
    assert "| kill | 3 | done again (2); the call went on (1) | 4.0 s | 6.0 s | 3 | 2 |" in text
    assert "3 faults of 1 kinds in 1 trials, in 1 minutes (`make chaos RUN=7`): all of them held." in text
    assert "3 faults hit 3 calls" in text and "2 of them were done again" in text


def test_what_did_not_hold_stands_out() -> None:
    text = page([GOOD, BAD], "1")
    assert "**1 trials did not hold**" in text
    assert "| full | 1 | **not done after it** |" in text
    assert "- disks 1: a.mp4 is half" in text


def test_what_a_lost_node_costs_is_told() -> None:
    text = page([Result("nodes", 90.0, (), (), facts=FACTS)], "1")
    assert "| 40.0 s | 48.5 s | 10.0 s | 20.0 s | 8.5 s |" in text


def test_results_are_kept_as_they_come_and_the_last_of_a_trial_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for result in (GOOD, BAD, GOOD):
        keep(path, result)
    assert kept(path) == [GOOD, BAD]
