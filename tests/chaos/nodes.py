"""Nodes of a cluster that are lost while they work; and what it costs to lose one of four."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.archive import environment_of
from tests.chaos.tickets import tell
from tests.chaos.trial import Trial, processes
from tests.flows.archive import Destination
from tests.flows.command import REPOSITORY
from tests.flows.processes import seconds_until_gone

_START_SECONDS = 300.0
_NODES = 2
_SHARES = 4
_PAUSE_SECONDS = 8.0
_LOST_AFTER_CALLS = 6
_SLOW = {"CHAOS_PAUSE": "deblur=1.5"}  # so that a node has a call when it is lost
_MORE_SECONDS = 10.0


@dataclass
class RunningCluster:
    """mark: of all its processes, actors too; address: of its head; environment: for drivers that join it."""

    mark: str
    process: subprocess.Popen[str]
    address: str
    environment: dict[str, str]

    def tell(self, word: str) -> None:
        """`lose` or `add`; returns when it is done."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        said_by(self.process)


def said_by(process: subprocess.Popen[str]) -> str:
    """The next line; empty where it never comes, and then the process is ended."""
    assert process.stdout is not None
    patience = threading.Timer(_START_SECONDS, process.kill)
    patience.start()
    try:
        return process.stdout.readline()
    finally:
        patience.cancel()


@contextmanager
def cluster(trial: Trial, nodes: int, gpus: int = 0, **variables: str) -> Iterator[RunningCluster]:
    """Its workers see the trial's faults."""
    mark = f"cluster-{uuid.uuid4().hex}"
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {
        **trial.command_line.environment(environment_of(mark, trial.told, trial.temporary)),
        **auth,
        **variables,
        "RAY_TMPDIR": f"/tmp/chaos-{mark[8:16]}",
    }
    command = [sys.executable, "-m", "tests.chaos.cluster", str(nodes), str(gpus)]
    with (trial.folder / "cluster.stderr").open("a") as errors:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    try:
        told = said_by(process)
        if not told:
            raise RuntimeError("the cluster did not start: " + (trial.folder / "cluster.stderr").read_text()[-2000:])
        yield RunningCluster(mark, process, json.loads(told)["address"], auth)
    finally:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        try:
            seconds_until_gone(mark, 120.0)
        except AssertionError as error:
            trial.notes.append(f"processes outlive their cluster: {error}"[:600])
        shutil.rmtree(f"/tmp/chaos-{mark[8:16]}", ignore_errors=True)


def lost(trial: Trial) -> None:
    """One of two nodes dies, another comes, and that one dies too."""
    with cluster(trial, _NODES, **_SLOW) as running:
        started = trial.start("--ray-address", running.address, environment=running.environment)
        for word in ("lose", "add", "lose"):
            if not trial.wait_for_calls(started, trial.chance.randint(2, 5)):
                break
            time.sleep(trial.chance.uniform(0.0, 0.5))
            if word == "lose":
                trial.fault("a node of the cluster is lost", run=running.mark, victim_run=running.mark)
            running.tell(word)
        trial.end(started)


def head_lost(trial: Trial) -> None:
    """What the whole cluster cannot be without dies, with nobody to start it again."""
    _joined_and_ended(trial, "the head of the cluster is lost", "gcs/gcs_server")


def own_node_lost(trial: Trial) -> None:
    """Of the node that the driver has joined, only the driver is left."""
    _joined_and_ended(trial, "the driver's own node is lost", "--head")


def _joined_and_ended(trial: Trial, kind: str, word: str) -> None:
    with cluster(trial, 1, **_SLOW) as running:
        started = trial.start("--ray-address", running.address, environment=running.environment)
        if trial.wait_for_calls(started, trial.chance.randint(2, 5)):
            trial.fault(kind, run=running.mark, victim_run=running.mark)
            for pid in processes(running.mark, word):
                os.kill(pid, signal.SIGKILL)
        tell(trial.told, "ended", run=running.mark, code=trial.end(started).code)


def share_of_one(trial: Trial) -> None:
    """Four nodes, each deblur call lasting as long as on a machine of its own; the same with one of them lost."""
    slow = {"CHAOS_PAUSE": f"deblur={_PAUSE_SECONDS}"}
    seconds, after = {}, 0.0
    for how in ("whole", "lost"):
        with cluster(trial, _SHARES, **slow) as running:
            trial.target = trial.folder / how
            started = trial.start("--force", "--ray-address", running.address, environment=running.environment)
            if how == "lost":
                trial.wait_for_calls(started, _LOST_AFTER_CALLS, "deblur")
                trial.fault("one of four nodes is lost", run=running.mark, victim_run=running.mark)
                after = time.monotonic()
                running.tell("lose")
            run = trial.end(started)
            report = json.loads(run.stdout)
            seconds[how] = float(report["seconds"])
    began = trial.runs[-1].ended - seconds["lost"]
    trial.out = Destination(Path(str(trial.target)))
    done = min(max(after - began, 0.0), seconds["whole"])
    cost, share = seconds["lost"] - seconds["whole"], (seconds["whole"] - done) / (_SHARES - 1)
    trial.facts |= {
        "with four nodes": seconds["whole"],
        "with one of them lost": seconds["lost"],
        "lost after": done,
        "its share": share,
        "it cost": cost,
    }
    if cost > share + _MORE_SECONDS:
        trial.notes.append(f"losing a node cost {cost:.1f} s, and its share is {share:.1f} s")
