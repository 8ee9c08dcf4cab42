"""`make fuzz`: changed files through every reader, for a time or a number of cases. Ends with 1 if anything was found.

Each finding is kept in a folder: the changed file, how it was made, and what happened.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.cases import Case, bytes_of
from tests.fuzz.driver import Result, run_cases
from tests.fuzz.seeds import Seed, made_seeds, seeds_of

_ROUND = 400


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600.0, help="after which no new round begins")
    parser.add_argument("--cases", type=int, default=0, help="instead, so many cases")
    parser.add_argument("--run", default="1", help="a word that decides all changes")
    parser.add_argument("--files", type=Path, help="a folder of files to change, besides those that are made")
    parser.add_argument("--findings", type=Path, default=Path("scratch/fuzz"), help="where findings are kept")
    given = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # or SVT-AV1 writes its banner for every clip
    began, counts, found = time.monotonic(), Counter[str](), 0
    with TemporaryDirectory(prefix="fuzz-seeds-") as folder:
        seeds = made_seeds(quick=False) + (seeds_of(given.files) if given.files else [])
        rounds = cases_of(write(seeds, Path(folder)), given.run)
        while counts.total() < given.cases if given.cases else time.monotonic() - began < given.seconds:
            for result in run_cases([next(rounds) for _ in range(min(_ROUND, given.cases or _ROUND))]):
                counts[_kind(result)] += 1
                if result.is_finding:
                    found += 1
                    _keep(result, given.findings)
            print(f"{time.monotonic() - began:.0f} s: {counts.total()} cases, {dict(counts)}", flush=True)
    print(f"{counts.total()} cases, {found} findings")
    return 1 if found else 0


def write(seeds: list[Seed], folder: Path) -> list[tuple[str, str]]:
    """(kind, path) of each seed, written below `folder`."""
    written = []
    for number, seed in enumerate(seeds):
        path = folder / str(number) / Path(seed.name).name
        path.parent.mkdir()
        path.write_bytes(seed.data)
        written.append((seed.kind, str(path)))
    return written


def cases_of(seeds: list[tuple[str, str]], run: str) -> Iterator[Case]:
    """Without end; three of four are media."""
    rng = random.Random(run)
    media = [seed for seed in seeds if seed[0] == "media"]
    others = [seed for seed in seeds if seed[0] != "media"]
    number = 0
    while True:
        kind, path = rng.choice(media if rng.random() < 0.75 or not others else others)
        alike = [other for other_kind, other in seeds if other_kind == kind]
        yield Case(number, run, kind, path, rng.choice(alike))
        number += 1


def _kind(result: Result) -> str:
    if result.outcome == "ok":
        return "read"
    return "finding" if result.is_finding else result.outcome.split(": ")[1]


def _keep(result: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = bytes_of(result.case)
    name = hashlib.sha256(data).hexdigest()[:12]
    (folder / f"{name}{Path(result.case.seed).suffix}").write_bytes(data)
    (folder / f"{name}.txt").write_text(f"{dumps(asdict(result.case))}\n{result.outcome}\n")
    print(f"FINDING {name} {Path(result.case.seed).name}: {result.outcome.strip().splitlines()[-1][:300]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
