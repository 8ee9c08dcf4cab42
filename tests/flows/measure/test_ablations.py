"""The papers' ablations: verdicts, tables, and one small study from pictures to Markdown."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.errors import UsageError
from flows.measure.ablations.adaptation import TABLES
from flows.measure.ablations.report import (
    AS_PUBLISHED,
    NOT_CLAIMED,
    OPPOSITE,
    WITHIN_NOISE,
    Scores,
    compare,
    judge,
    markdown,
)
from flows.measure.ablations.run import measure_ablations
from flows.measure.ablations.studies import PublishedTable, Row, studies

TABLE = PublishedTable("Table 9", "whole", (Row("without", "cut", 29.0), Row("whole", "whole", 30.0)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures of coloured squares."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed in range(3):
        small = (np.random.default_rng(seed).random((26, 30, 3)) * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{seed}th.png"), cv2.resize(small, (300, 260), interpolation=cv2.INTER_NEAREST))
    return folder


def scores(psnr_db: list[float]) -> Scores:
    return Scores(np.array(psnr_db), np.ones(len(psnr_db)), steps=10, seconds=1.0, parameters=5)


@pytest.mark.parametrize(
    ("claim", "difference", "error", "seed", "verdict"),
    [
        ("below", -0.30, 0.10, 0.05, AS_PUBLISHED),
        ("below", +0.30, 0.10, 0.05, OPPOSITE),
        ("below", -0.15, 0.10, 0.05, WITHIN_NOISE),
        ("below", -0.30, 0.10, -0.40, WITHIN_NOISE),
        ("below", -0.30, 0.10, float("nan"), AS_PUBLISHED),
        ("equal", -0.15, 0.10, 0.05, AS_PUBLISHED),
        ("equal", -0.30, 0.10, 0.05, OPPOSITE),
        ("equal", -0.004, 0.001, float("nan"), AS_PUBLISHED),
        ("below", -0.004, 0.001, float("nan"), WITHIN_NOISE),
        ("none", -0.30, 0.10, 0.05, NOT_CLAIMED),
    ],
)
def test_a_difference_counts_beyond_twice_its_error_and_beyond_another_seed(
    claim: str, difference: float, error: float, seed: float, verdict: str
) -> None:
    assert judge(claim, difference, error, seed) == verdict


def test_differences_are_paired() -> None:
    """Samples differ by 10 dB, the variants by 0.5 on each: that is no noise."""
    made = {"whole": scores([20.0, 25.0, 30.0]), "cut": scores([19.5, 24.5, 29.5])}
    line = compare("paper", TABLE, made, scores([20.1, 25.1, 30.1]), "whole")[0]
    assert (line.difference, line.error, line.seed) == pytest.approx((-0.5, 0.0, 0.1))
    assert line.published_difference_db == pytest.approx(-1.0)
    assert line.verdict == AS_PUBLISHED


def test_the_markdown_is_a_table_of_every_row() -> None:
    made = {"whole": scores([20.0, 25.0]), "cut": scores([19.0, 24.5])}
    text = markdown(compare("paper", TABLE, made, None, ""), {"paper": "smaller"})
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert [line.split("|")[1].strip() for line in rows[2:]] == ["without", "whole"]


def test_every_row_of_every_table_has_its_network() -> None:
    for study in studies().values():
        networks = {name: variant.build() for name, variant in study.variants.items()}
        assert study.control in networks
        assert len({network.size_multiple for network in networks.values()}) == 1, "all are scored on the same pixels"
        for table in study.tables:
            assert {row.variant for row in table.rows} <= set(networks)
            assert table.reference in {row.name for row in table.rows}
    for table in TABLES:
        assert table.reference in {row.name for row in table.rows}


@pytest.mark.parametrize(
    ("minutes", "steps", "only", "said"),
    [(None, None, (), "budget"), (1.0, 5, (), "budget"), (0.0, None, (), "budget"), (1.0, None, ("vgg",), "'vgg'")],
)
def test_a_wrong_request_is_refused(
    tmp_path: Path, minutes: float | None, steps: int | None, only: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        measure_ablations([tmp_path], tmp_path / "work", minutes, steps, only)


def test_a_study_is_trained_scored_tabled_and_taken_up_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"

    def measure(steps: int) -> None:
        assert measure_ablations([data], work, None, steps, ["contiguous"], samples=4, validation=3) == 0

    measure(2)
    assert "not reproduced" in capsys.readouterr().out
    report = json.loads((work / "ablations.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["without", "with the contiguous loss"]
    assert report["rows"][0]["published_difference_db"] == pytest.approx(-0.5)
    assert "| without | 29.12 | -0.50 |" in (work / "ablations.md").read_text()

    written = {path: path.stat().st_mtime_ns for path in (work / "contiguous").glob("*.json")}
    assert len(written) == 3
    (work / "contiguous" / "with.json").unlink()
    measure(2)
    later = {path: path.stat().st_mtime_ns for path in (work / "contiguous").glob("*.json")}
    assert [path.name for path in later if later[path] != written[path]] == ["with.json"]
    assert json.loads((work / "ablations.json").read_text())["rows"][0]["value"] == report["rows"][0]["value"]

    with pytest.raises(UsageError, match="another budget"):
        measure(3)


def test_adaptation_without_a_video_to_judge_on_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no video of 20 frames"):
        measure_ablations([data], tmp_path / "work", None, 1, ["reblur2deblur"])
