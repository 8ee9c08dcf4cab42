"""The driver and what it started on its machine: killed, interrupted, suspended; and two of them at once."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from tests.chaos.trial import Started, Trial, processes

_ENDS = ("SIGKILL", "SIGKILL to its process group", "SIGTERM", "SIGINT")
_SUSPENDED_SECONDS = 8.0
# Of Ray, what it runs once on a machine; and the embedded server of Prefect.
EMBEDDED = "Prefect's embedded server"
_SERVANTS = {
    "Ray's scheduler (raylet)": "raylet/raylet",
    "Ray's control store (gcs_server)": "gcs/gcs_server",
    EMBEDDED: "flows.embedded_server",
}
_DRIVER_POINTS = (
    ("driver killed before it writes its records", "put", "records"),
    ("driver killed with its records written and not yet named", "written", "records"),
    ("driver killed between records and summary", "kept", "records"),
    ("driver killed as it takes the lease", "written", "lease"),
    ("driver killed after the summary", "kept", "summary"),
)


def ends(trial: Trial) -> None:
    """Killed or interrupted amid the work, again and again, each time by another run that goes on."""
    for how in trial.chance.sample(_ENDS, 3):
        started = trial.start()
        if not trial.wait_for_calls(started, trial.chance.randint(2, 9)):
            trial.end(started)
            return
        time.sleep(trial.chance.uniform(0.0, 0.3))
        trial.fault(f"driver: {how}", run=started.mark, victim_run=started.mark)
        number = getattr(signal, how.partition(" ")[0])
        with suppress(ProcessLookupError):
            (os.killpg if how != "SIGKILL" else os.kill)(started.process.pid, number)
        trial.end(started)


def points(trial: Trial) -> None:
    """By way of an actor, in the moment after a put; then where it writes itself."""
    stage = trial.chance.choice(["classify", "deblur", "assemble"])
    trial.ticket("all killed after a put, before its answer", "end", "kill_group", trial.driver_file, stage=stage)
    trial.run()
    kind, point, written = trial.chance.choice(_DRIVER_POINTS)
    trial.ticket(kind, point, "kill", object=written)
    trial.run()


def servants(trial: Trial) -> None:
    """What serves the driver on its machine is killed: another one in each trial."""
    name, words = sorted(_SERVANTS.items())[trial.number % len(_SERVANTS)]
    kill_servant(trial, name, words)


def kill_servant(trial: Trial, name: str, words: str) -> None:
    if name == EMBEDDED:
        trial.environment.pop("PREFECT_API_URL")
    started = trial.start()
    if trial.wait_for_calls(started, trial.chance.randint(2, 6)):
        trial.fault(f"{name}: SIGKILL", run=started.mark, victim_run=started.mark)
        for pid in processes(started.mark, words):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    trial.end(started)


def suspended(trial: Trial) -> None:
    """The driver's machine sleeps for a while; and meanwhile another run wants the destination."""
    started = trial.start()
    if trial.wait_for_calls(started, 3):
        began = time.monotonic()
        os.kill(started.process.pid, signal.SIGSTOP)
        time.sleep(_SUSPENDED_SECONDS)
        os.kill(started.process.pid, signal.SIGCONT)
        trial.wait_for_calls(started, 1)
        seconds = time.monotonic() - began - _SUSPENDED_SECONDS
        trial.fault("driver suspended for a while", run=started.mark, outcome="the run went on", seconds=seconds)
        second_run(trial, started)
    trial.end(started)


def second_run(trial: Trial, first: Started) -> None:
    """While one is at work, another run is told so and writes nothing."""
    if not first.runs:
        return
    second = trial.end(trial.start())
    declined = second.code == 2 and "another run writes into" in second.stderr
    over = not first.runs and second.code in (0, 3)
    if not (declined or over):
        trial.notes.append(f"a second run was not declined: {second.code} {second.stderr[-300:]}")
    if declined:
        trial.fault("a second run over the same archive", run=first.mark, outcome="the second run declines")
