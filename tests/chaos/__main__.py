"""`make chaos`: faults of every kind, put into real runs; writes docs/reliability.md from what was found.

Results are kept as they come, so that a suite that was interrupted goes on where it stopped. Ends with 1 if anything
did not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tests.chaos.report import page
from tests.chaos.results import Result, keep, kept
from tests.chaos.scenarios import SCENARIOS, Suite, rounds

_PAGE = Path("docs/reliability.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 where anything that is kept in the folder did not hold. arguments: the process's own
    unless given."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after which no new trial begins")
    parser.add_argument("--run", default="1", help="a word that decides what is drawn")
    parser.add_argument("--only", default="", help="trials with this in their names; writes no page")
    parser.add_argument("--rounds", type=int, default=0, help="instead of as many as each kind needs")
    parser.add_argument("--folder", type=Path, default=Path("scratch/chaos/make"), help="where all of it happens")
    parser.add_argument("--again", action="store_true", help="begin anew, do not go on with what is there")
    parser.add_argument("--small", action="store_true", help="an archive of three clips, for a quick look")
    parser.add_argument("--keep", action="store_true", help="keep what trials leave, also where all held")
    given = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # so that nothing that was started goes on
    folder = given.folder.absolute()
    if given.again:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"results-{given.run}.jsonl"
    began = time.monotonic()
    done = {result.trial for result in kept(results)}
    with Suite(folder, given.keep, given.small) as suite:
        for name, scenario in rounds(SCENARIOS, given.rounds):
            if given.only not in name or name in done:
                continue
            if time.monotonic() - began > given.seconds:
                print(f"{given.seconds:.0f} s are over: what is left is done when the same command is run again")
                break
            result = suite.play(name, scenario, random.Random(f"{given.run} {name}"))
            keep(results, result)
            _tell(result, time.monotonic() - began)
    found = kept(results)
    if not (given.only or given.small):
        planned = sum(scenario.times for scenario in SCENARIOS.values())
        _PAGE.write_text(page(found, given.run, os.cpu_count() or 1, planned))
    wrong = [result for result in found if result.wrong]
    count = sum(len(result.injections) for result in found)
    kinds = {injection.kind for result in found for injection in result.injections}
    print(f"{count} faults of {len(kinds)} kinds in {len(found)} trials, {len(wrong)} did not hold")
    return 1 if wrong else 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _tell(result: Result, seconds: float) -> None:
    told = f"{seconds:.0f} s: {result.trial}: {len(result.injections)} faults in {result.seconds:.0f} s"
    print(told + (f", {result.unused} never came" if result.unused else ""), flush=True)
    for wrong in result.wrong:
        print(f"WRONG {result.trial}: {wrong}", flush=True)


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:
        print("interrupted: the same command goes on")
        code = 130
    sys.exit(code)
