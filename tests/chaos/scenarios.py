"""All trials there are, how often each is made, and how one is played: faults, judge, a plain run, judge again."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.chaos import actors, disks, drivers, nodes, orchestrator, sources, stores
from tests.chaos.account import injections
from tests.chaos.archive import Archive, made_archive, make_archive
from tests.chaos.judge import after_faults, after_plain_run, done_twice, half_visible
from tests.chaos.results import Result
from tests.chaos.tickets import events
from tests.chaos.trial import Trial
from tests.flows.command import CommandLine


@dataclass(frozen=True)
class Scenario:
    """play: puts faults into runs of a trial, and returns what is to be expected where that is not the usual; times:
    how often; place: where its destination lies, a folder or a bucket."""

    play: Callable[..., Any]
    times: int
    place: str = "folder"


SCENARIOS: dict[str, Scenario] = {
    "actors killed from outside": Scenario(actors.signals, 3),
    "actors killed at chosen points": Scenario(actors.points, 4),
    "store faults": Scenario(stores.faults, 4, "s3"),
    "drivers ended": Scenario(drivers.ends, 3),
    "crashes": Scenario(actors.crashes, 2),
    "drivers killed at chosen points": Scenario(drivers.points, 4),
    "hangs": Scenario(actors.hangs, 2),
    "actors that never start": Scenario(actors.starts, 2),
    "full disks": Scenario(disks.full, 2),
    "read-only destinations": Scenario(disks.read_only, 2),
    "failing disks": Scenario(disks.failing, 2),
    "changing files": Scenario(sources.changing, 2),
    "clocks": Scenario(sources.clocks, 2),
    "GPU memory": Scenario(actors.gpu_memory, 2),
    "poison": Scenario(actors.poison, 1),
    "servants killed": Scenario(drivers.servants, 3),
    "suspended, and two at once": Scenario(drivers.suspended, 2),
    "uploads killed": Scenario(stores.uploads, 2, "s3"),
    "writers of one key": Scenario(stores.writers, 1, "s3"),
    "nodes lost": Scenario(nodes.lost, 2),
    "a cluster's head lost": Scenario(nodes.head_lost, 1),
    "the driver's own node lost": Scenario(nodes.own_node_lost, 1),
    "Prefect's worker and server": Scenario(orchestrator.killed, 3),
    "one of four nodes": Scenario(nodes.share_of_one, 1),
}


def rounds(scenarios: dict[str, Scenario], most: int = 0) -> Iterator[tuple[str, Scenario]]:
    """Every kind once, then those that are made twice, and so on: so a suite that ends early has seen most."""
    for number in range(most or max(scenario.times for scenario in scenarios.values())):
        for name, scenario in scenarios.items():
            if number < scenario.times:
                yield f"{name} {number + 1}", scenario


class Suite:
    """What all trials share: the archive, and servers that are started when first wanted."""

    def __init__(self, folder: Path, keeps: bool = False, small: bool = False) -> None:
        self._folder, self._keeps, self._small = folder, keeps, small
        self._command_line = CommandLine(folder / "home")
        self._stack = ExitStack()

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def archive(self) -> Archive:
        place = self._folder / "archive"
        made = made_archive(place)
        if made is not None:
            return made
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return make_archive(place, self._command_line, self.environment, self._small)

    @cached_property
    def environment(self) -> dict[str, str]:
        """Of all runs: one Prefect server serves them all, which spares each the start of its own."""
        prefect = self._stack.enter_context(orchestrator.LastingPrefect(self._folder / "prefect"))
        return prefect.quiet_environment()

    @cached_property
    def store(self) -> stores.FaultyStore:
        return self._stack.enter_context(stores.faulty_store(self._folder / "swift"))

    def play(self, name: str, scenario: Scenario, chance: random.Random) -> Result:
        """One trial from its first fault to the judge's last word."""
        archive = self.archive
        folder = self._folder / "trials" / name.replace(" ", "-").replace(",", "")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.monotonic()
        trial = Trial(name, folder, archive, self._command_line, chance, dict(self.environment))
        place: Place = BucketPlace(trial, self.store) if scenario.place == "s3" else FolderPlace(trial)
        trial.look = lambda: half_visible(place.look(), trial.expected)
        wrong = []
        try:
            store = (self.store,) if scenario.place == "s3" else ()
            scenario.play(trial, *store)
            if trial.runs:
                wrong += [f"after the faults: {each}" for each in after_faults(trial, place.look(), trial.expected)]
                trial.plain()
                wrong += [
                    f"after the plain run: {each}" for each in after_plain_run(trial, place.look(), trial.expected)
                ]
                wrong += place.left_over()
                for act in trial.afterwards:
                    act()
            trial.wait_for_agents()
        except Exception as error:  # noqa: BLE001 - one trial's trouble is not the others'
            wrong.append(f"the trial itself failed: {type(error).__name__}: {error}"[:1500])
        finally:
            trial.close()
        told = list(events(trial.told))
        found = injections(told)
        wrong += [*dict.fromkeys(trial.notes), *done_twice(told), *(each.wrong for each in found if each.wrong)]
        if wrong:
            found = [replace(each, wrong=each.wrong or "its trial does not hold") for each in found]
        elif not self._keeps:
            shutil.rmtree(folder, ignore_errors=True)
        return Result(name, time.monotonic() - began, tuple(found), tuple(wrong), trial.left, trial.facts)


class FolderPlace:
    """A destination in a folder, looked at as it lies."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def look(self) -> Any:
        return self._trial.out

    def left_over(self) -> list[str]:
        return []


class BucketPlace:
    """A destination in a bucket, behind a proxy that makes faults; looked at past the proxy, in a copy."""

    def __init__(self, trial: Trial, store: stores.FaultyStore) -> None:
        self._trial, self._store = trial, store
        store.begin(trial)

    def look(self) -> Any:
        return self._store.copy_of(self._trial)

    def left_over(self) -> list[str]:
        return self._store.left_over(self._trial)


Place = FolderPlace | BucketPlace
