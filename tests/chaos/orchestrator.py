"""Prefect's worker and server, killed while a flow of theirs runs."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.chaos.archive import SEGMENT_FRAMES, environment_of
from tests.chaos.tickets import tell
from tests.chaos.trial import Trial
from tests.flows.prefect_on_loopback import PrefectOnLoopback, wait_for
from tests.flows.processes import seconds_until_gone

_POOL = "restore-archive"
# One for each fault of a trial: that a run was killed, Prefect learns after a while; until then it counts as running,
# and a deployment has one run at a time.
_DEPLOYMENTS = ("restore-archive/reprocess", "restore-archive/nightly")
_FAULTS = ("worker: SIGKILL", "worker: SIGTERM", "server: SIGKILL", "flow: SIGKILL")
_RUN_SECONDS = 600.0
_END_SECONDS = 180.0
_ENDED = {"COMPLETED", "CANCELLED", "FAILED", "CRASHED"}


class LastingPrefect(PrefectOnLoopback):
    """A server for many runs."""

    start_seconds = 600.0

    def quiet_environment(self) -> dict[str, str]:
        """For the command line: this server, and no more words than with its own."""
        return {
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_HOME": str(self._folder),
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }


class PrefectToBeKilled(PrefectOnLoopback):
    """The same, with faults in what its worker starts, and ways to end its processes."""

    start_seconds = 600.0

    def __init__(self, folder: Path, trial: Trial) -> None:
        super().__init__(folder)
        self._trial, self.marks = trial, [f"prefect-{trial.folder.name}"]

    @property
    def mark(self) -> str:
        """Of what is started now."""
        return self.marks[-1]

    def start_worker(self, pool: str) -> None:
        """What it starts is told from what the one before it has started."""
        self.marks.append(f"{self.marks[0]}-{len(self.marks)}")
        super().start_worker(pool)

    def kill_worker(self, name: str) -> None:
        """Alone: what it started goes on or not, as it will."""
        assert self._worker is not None
        self._worker.send_signal(getattr(signal, name))
        self._worker.wait(_END_SECONDS)

    def kill_server(self) -> None:
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait(_END_SECONDS)

    def start_server(self) -> None:
        """Again, with the same database."""
        self._server = self._start("server", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        wait_for(self._is_up, self.start_seconds, "the server answers again")

    def _environment(self) -> dict[str, str]:
        told = environment_of(self.mark, self._trial.told, self._trial.temporary)
        return {**super()._environment(), **told, "RESTORE_SEGMENT_FRAMES": str(SEGMENT_FRAMES)}


def killed(trial: Trial) -> None:
    """The worker by SIGKILL or SIGTERM, the server, or the flow's own process, each amid a run of a deployment."""
    with PrefectToBeKilled(trial.folder / "prefect", trial) as prefect:
        prefect.command("work-pool", "create", _POOL, "--type", "process")
        prefect.command("deploy", "--all")
        state, force = "", False
        for deployment, what in zip(_DEPLOYMENTS, trial.chance.sample(_FAULTS, len(_DEPLOYMENTS)), strict=True):
            # Where the first came to its end, nothing would be left to do for the second.
            force = state == "COMPLETED"
            state = _one(trial, prefect, deployment, what, force)
        if force and state != "COMPLETED":  # who goes on with it asks for the same
            trial.options = ("--force",)
    for mark in prefect.marks:
        try:
            seconds_until_gone(mark, 120.0)
        except AssertionError as error:
            trial.notes.append(f"processes outlive Prefect's worker: {error}"[:600])
    trial.run()


def _one(trial: Trial, prefect: PrefectToBeKilled, deployment: str, what: str, force: bool) -> str:
    """Returns the state in which the run of the deployment is at last."""
    prefect.start_worker(_POOL)
    begun = len(trial.told_by(["begin"]))
    places = {"source": str(trial.source), "destination": str(trial.out.folder)}
    flow_run = prefect.run(deployment, **places, force=force)
    wait_for(
        lambda: len(trial.told_by(["begin"])) > begun + 2 or prefect.state(flow_run) in _ENDED, _RUN_SECONDS, "calls"
    )
    trial.fault(f"Prefect's {what}", run=prefect.mark, victim_run=prefect.mark)
    who, _, name = what.partition(": ")
    if who == "worker":
        prefect.kill_worker(name)
    elif who == "server":
        prefect.kill_server()
        time.sleep(5.0)
        prefect.start_server()
    else:
        _kill_flow(prefect)
    # What was started and lives on comes to its end by itself, or was ended.
    wait_for(lambda: not flows_of(prefect) or prefect.state(flow_run) in _ENDED, _RUN_SECONDS, "the flow has an end")
    wait_for(lambda: not flows_of(prefect), 120.0, "nothing is left of the flow")
    state = prefect.state(flow_run)
    tell(trial.told, "ended", run=prefect.mark, code=0 if state == "COMPLETED" else 1, state=state)
    with suppress(AssertionError):
        prefect.kill_worker("SIGINT")
    return state


def flows_of(prefect: PrefectToBeKilled) -> dict[int, str]:
    """Processes of runs, and of Ray."""
    return {pid: line for pid, line in prefect.offspring().items() if "ray" in line or "engine" in line}


def _kill_flow(prefect: PrefectToBeKilled) -> None:
    for pid, line in flows_of(prefect).items():
        if "engine" in line:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
