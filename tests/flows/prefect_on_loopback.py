"""A real Prefect server and process worker on loopback, with a home of their own, and the questions tests ask them.

Knows nothing of the flows; every process it starts carries a mark in its environment, by which its offspring is found.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]
START_SECONDS = 90.0
COMMAND_SECONDS = 180.0
_MARK = "STARTED_BY_TEST"

Seen = TypeVar("Seen")


class PrefectOnLoopback:
    """Use as a context manager: the server runs inside, a worker after `start_worker`."""

    start_seconds = START_SECONDS

    def __init__(self, folder: Path) -> None:
        self._folder, self._mark = folder, uuid.uuid4().hex
        self.port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PrefectOnLoopback":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = self._start("server", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        wait_for(self._is_up, self.start_seconds, "the server answers")
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._worker, self._server):
            if process is not None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)

    def start_worker(self, pool: str) -> None:
        """A process worker that looks for work all the time."""
        self._worker = self._start("worker", "worker", "start", "--pool", pool, "--type", "process")

    def command(self, *arguments: str) -> str:
        """What `prefect ARGUMENTS` prints. Fails when it fails or takes too long."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log('worker')}"
        return done.stdout

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer of Prefect's API: GET, or POST when there is a body.

        A server whose database is busy answers 503 and has done nothing: it is asked again, as Prefect's client does.
        """
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}/api/{path}", data, {"Content-Type": "application/json"})
        deadline = time.monotonic() + self.start_seconds
        while True:
            try:
                with urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def run(self, deployment: str, **parameters: Any) -> str:
        """Asks for a run of a deployment; returns the id of the flow run."""
        identity = self.ask(f"deployments/name/{deployment}")["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.ask(f"deployments/{identity}/create_flow_run", body)["id"])

    def state(self, flow_run: str) -> str:
        """The type of a flow run's state: SCHEDULED, RUNNING, COMPLETED, CANCELLED, CRASHED, …"""
        return str(self.ask(f"flow_runs/{flow_run}")["state_type"])

    def offspring(self) -> dict[int, str]:
        """Command lines, by process id, of all that the worker has started and that still runs."""
        mark = f"{_MARK}={self._mark}-worker".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # ended meanwhile
        return {pid: line for pid, line in found.items() if self._worker is None or pid != self._worker.pid}

    def log(self, name: str) -> str:
        """The end of what the server or the worker said."""
        path = self._folder / f"{name}.log"
        return path.read_text()[-9000:] if path.exists() else ""

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        environment = self._environment() | {_MARK: f"{self._mark}-{name}"}
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=self._folder, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_", "RESTORE_"))
        }
        return inherited | {
            "PREFECT_HOME": str(self._folder),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
        }

    def _is_up(self) -> bool:
        try:
            return bool(self.ask("health"))
        except (URLError, OSError):
            return False


def wait_for(look: Callable[[], Seen], seconds: float, what: str) -> Seen:
    """What `look` returns once that is true; fails when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{seconds:.0f} s were not enough until {what}"
        time.sleep(0.3)
    return seen


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
