"""What people are shown holds names from outside: they stay on their line, and are no marks of the terminal or page."""

from dataclasses import replace
from pathlib import Path

import pytest

from deblur_core.provenance.proof import Proof
from flows.command_line import _say
from flows.commands.run import _Estimate, _show_plan
from flows.commands.verify import _print
from flows.inventory import Inventory, PublishedArchive
from flows.summary import Tally, lines, markdown, summarize
from tests.flows.test_summary import FAILED

HOSTILE = "a[/red]\x1b[2J\nFAILED b.mp4\u202e`<b>"
SHOWN = r"a[/red]\x1b[2J\nFAILED b.mp4\u202e`<b>"
RECORD = replace(FAILED, video=HOSTILE, error=f"{HOSTILE}: is no video")


def test_a_summary_has_one_line_a_failure() -> None:
    found = list(lines(summarize("run", 1.0, Tally.of([RECORD])), "/out"))
    assert [line for line in found if "FAILED" in line] == [f"FAILED {SHOWN} [plan] {SHOWN}: is no video"]


def test_the_page_of_a_run_takes_nothing_for_a_mark() -> None:
    page = markdown(summarize("run", 1.0, Tally.of([RECORD])), "/out")
    assert page.splitlines()[-1].startswith("- `") and "<b>" not in page and page.count("`") == 4
    assert "\x1b" not in page and "\u202e" not in page


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    _say(f"{HOSTILE} is wrong", as_json=False)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "\x1b" not in said and "\u202e" not in said


def test_the_plan_and_the_proof_show_it_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(
        "flows.commands.run._estimate", lambda _: [_Estimate(HOSTILE, 1000, None, None, f"{HOSTILE}: no")]
    )
    _show_plan(Inventory(None, (), (), (), 0), as_json=False)  # type: ignore[arg-type]
    assert SHOWN in capsys.readouterr().out
    archive = PublishedArchive(None, _Place("/out [/red]"), (), {}, {})  # type: ignore[arg-type]
    proofs = [Proof(HOSTILE, HOSTILE, False, 0, (f"{HOSTILE} is not its source",))]
    _print(proofs, proofs, archive, 1.0, hashes_only=False)
    told = capsys.readouterr().out
    assert SHOWN in told and "(/out [/red])" in told and "\x1b" not in told


class _Place:
    """A store as far as it is shown."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root = Path(url)
