"""A run's result alone is on stdout, whatever others print, and Prefect's server may be gone at its end."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.command import Invoke
from tests.media import make_clip


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("flows.commands.run.embedded_server", nullcontext)
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "a.mp4", frames=6, size=(96, 64))
    return tmp_path


def test_only_the_result_is_on_stdout(archive: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import restore_archive as module

    result: dict[str, Any] = {"run_id": "1", "seconds": 1.0, "videos": {"total": 1}, "frames": {}, "failures": []}

    def chatty(**_: Any) -> dict[str, Any]:
        print("(raylet) A worker died or was killed while executing a task by an unexpected system error.")
        return result

    monkeypatch.setattr(module, "restore_archive", chatty)
    done = invoke("run", archive / "in", archive / "out", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == result
    assert "A worker died" in done.stderr


def test_a_prefect_server_that_is_gone_is_one_line(
    archive: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import restore_archive as module

    def alone(**_: Any) -> dict[str, Any]:
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setattr(module, "restore_archive", alone)
    done = invoke("run", archive / "in", archive / "out", "--json")
    assert done.exit_code == 1
    assert "does not answer any more (All connection attempts failed)" in json.loads(done.stdout)["error"]
