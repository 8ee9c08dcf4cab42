"""Runs the real command line in a process of its own and reads what it reports."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deblur_core.errors import RestoreArchiveError


def restore(source: Path, destination: Path, *options: str) -> dict[str, Any]:
    """The run's report (`summary.json`). Raises RestoreArchiveError when the command did not end with 0."""
    command = [sys.executable, "-m", "flows.command_line", "run", str(source), str(destination), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RestoreArchiveError(f"the run ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    run_id = json.loads(done.stdout)["run_id"]
    report: dict[str, Any] = json.loads((destination / "_restore" / "runs" / run_id / "summary.json").read_text())
    return report
