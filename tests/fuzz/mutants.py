"""`make mutants`: changed files through the real command line, in batches. Ends with 1 if anything was found.

Each finding is kept in a folder: the changed file and how it was made, or what the run said.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.flows.command import CommandLine
from tests.fuzz.__main__ import cases_of, write
from tests.fuzz.blurred_seeds import blurred_seeds
from tests.fuzz.cases import Case, bytes_of
from tests.fuzz.mutant_judge import Finding, judged
from tests.fuzz.mutant_run import Seen, seen_run
from tests.fuzz.seeds import Seed, made_seeds, seeds_of

QUICKEST = ("--restorer", "default-fast", "--device", "cpu")
_WAYS: tuple[tuple[str, ...], ...] = (
    (),
    ("--threshold", "0"),
    ("--reencode", "--segment-frames", "6"),
    ("--codec", "ffv1"),
)
"""Options that one batch after another is run with"""
_START_SECONDS, _SECONDS_A_FILE = 1200.0, 20.0


@dataclass(frozen=True)
class Batch:
    """A run over changed files, and what is wrong with it. cases: by the name that the changed file has."""

    cases: dict[str, Case]
    seen: Seen
    findings: list[Finding]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mutants")
    parser.add_argument("--count", type=int, default=5000, help="changed files in all [5000]")
    parser.add_argument("--batch", type=int, default=300, help="files of one run [300]")
    parser.add_argument("--run", default="1", help="a word that decides all changes")
    parser.add_argument("--files", type=Path, help="a folder of files to change, besides those that are made")
    parser.add_argument("--findings", type=Path, default=Path("scratch/mutants"), help="where findings are kept")
    given = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")  # or SVT-AV1 writes its banner for every clip
    batches: list[Batch] = []
    began = time.monotonic()
    with TemporaryDirectory(prefix="mutants-") as folder:
        seeds = write(_seeds(given.files), Path(folder))
        cases = islice(cases_of(seeds, given.run), given.count)
        while some := list(islice(cases, given.batch)):
            home = Path(folder) / f"batch {len(batches)}"
            batch = run_batch(CommandLine(home), some, (*QUICKEST, *_WAYS[len(batches) % len(_WAYS)]))
            batches.append(batch)
            keep(batch, len(batches), given.findings)
            shutil.rmtree(home)
            print(f"{time.monotonic() - began:.0f} s: {json.dumps(totals(batches))}", flush=True)
    given.findings.mkdir(parents=True, exist_ok=True)
    (given.findings / "totals.json").write_text(json.dumps(totals(batches), indent=1))
    return 1 if any(batch.findings for batch in batches) else 0


def run_batch(
    command_line: CommandLine, cases: Sequence[Case], options: tuple[str, ...], sound: Sequence[Seed] = ()
) -> Batch:
    """Writes the changed files into a folder, and sound ones beside them, runs the command line over it, and judges
    what is seen."""
    source = command_line.home / "in"
    source.mkdir(parents=True)
    named = {f"{case.number:05d}-{Path(case.seed).name}": case for case in cases}
    for name, case in named.items():
        (source / name).write_bytes(bytes_of(case))
    for seed in sound:
        (source / seed.name).write_bytes(seed.data)
    limit = _START_SECONDS + _SECONDS_A_FILE * len(cases)
    seen = seen_run(command_line, source, command_line.home / "out", options, limit)
    return Batch(named, seen, judged(seen))


def totals(batches: Sequence[Batch]) -> dict[str, object]:
    """Counts over all batches; memory in bytes, time in seconds."""
    rows = [row for batch in batches for row in batch.seen.records.values()]
    peaks = [(peak, process) for batch in batches for process, peak in batch.seen.peaks.items()]
    largest: dict[str, int] = {}
    for peak, process in peaks:
        title = process.rpartition(" ")[0]
        largest[title] = max(largest.get(title, 0), peak)
    return {
        "runs": len(batches),
        "files": sum(len(batch.cases) for batch in batches),
        "status": dict(Counter(row["status"] for row in rows)),
        "failed": dict(Counter(row["stage"] for row in rows if row["status"] == "failed")),
        "proved": sum(batch.seen.verified.get("videos", {}).get("proved", 0) for batch in batches),
        "run_seconds": round(sum(batch.seen.seconds for batch in batches)),
        "largest_rss": largest,
        "findings": sum(len(batch.findings) for batch in batches),
    }


def keep(batch: Batch, number: int, folder: Path) -> None:
    """Leaves each finding's changed file, with its recipe, or what the whole run said."""
    for place, finding in enumerate(batch.findings):
        folder.mkdir(parents=True, exist_ok=True)
        print(f"FINDING in run {number}: {finding.video}: {finding.what[:400]}", flush=True)
        case = batch.cases.get(finding.video or "")
        told = {"finding": asdict(finding), "case": asdict(case) if case else None, "stderr": batch.seen.stderr[-4000:]}
        (folder / f"{number:03d}-{place:03d}.json").write_text(json.dumps(told, indent=1))
        if case is not None and finding.video is not None:
            (folder / f"{number:03d}-{finding.video}").write_bytes(bytes_of(case))


def _seeds(files: Path | None) -> list[Seed]:
    """Half of what is changed has frames to restore, one way or the other."""
    plain = [seed for seed in made_seeds(quick=False) if seed.kind == "media"]
    blurred = blurred_seeds(quick=False)
    return plain + blurred * (len(plain) // len(blurred)) + (seeds_of(files) if files else [])


if __name__ == "__main__":
    sys.exit(main())
