"""What `python -m tests.chaos` ends with, and that it does not do again what is done."""

import signal
from pathlib import Path

import pytest

from tests.chaos.__main__ import main
from tests.chaos.results import Result, keep

HELD = Result("clocks 1", 1.0, (), ())
NOT_HELD = Result("poison 1", 1.0, (), ("a.mp4 is half",))


@pytest.fixture(autouse=True)
def _signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)


@pytest.mark.parametrize(("results", "status"), [([HELD], 0), ([HELD, NOT_HELD], 1)])
def test_it_ends_with_1_where_anything_did_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], results: list[Result], status: int
) -> None:
    for result in results:
        keep(tmp_path / "results-1.jsonl", result)
    assert main(["--folder", str(tmp_path), "--only", "no trial is called so"]) == status
    assert f"{status} did not hold" in capsys.readouterr().out


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    keep(tmp_path / "results-1.jsonl", HELD)
    assert main(["--folder", str(tmp_path), "--only", "clocks", "--rounds", "1"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["results-1.jsonl"]
