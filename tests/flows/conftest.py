"""The command line for the tests of flows, and one run of a mixed archive that many tests look at."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.command_line import app
from tests.flows.archive import Destination, mixed_archive
from tests.flows.command import CommandLine, Finished, Invoke


@dataclass(frozen=True)
class MixedRun:
    """The mixed archive, what became of it, and the end of the run. Tests only look."""

    source: Path
    out: Destination
    finished: Finished

    @property
    def summary(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.finished.stdout)
        return result


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs a command in this process, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda signum, handler: None)
    monkeypatch.setattr("logging.disable", lambda level: None)  # the process goes on, with tests that read logs
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """One home for all: Prefect's own database is made once."""
    return CommandLine(tmp_path_factory.mktemp("command-line"))


@pytest.fixture(scope="session")
def mixed_run(command_line: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> MixedRun:
    folder = tmp_path_factory.mktemp("mixed")
    source = mixed_archive(folder / "in")
    finished = command_line.run("run", source, folder / "out", "--json")
    return MixedRun(source, Destination(folder / "out"), finished)
