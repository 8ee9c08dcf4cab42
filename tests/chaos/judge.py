"""The judge of a trial: is everything published right, or failed with its reason, and nothing half, and nothing left?

The same after every fault, and by other code than the program's. It names what is wrong and mends nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.expected import Expected
from tests.chaos.trial import Run, Trial
from tests.flows.archive import Destination

RECORD = ".restoration.json"
_ENDINGS = {0, 3}
_EXPLAINED = {1, 2, 130}


def after_faults(trial: Trial, out: Destination, expected: Expected) -> list[str]:
    """What is wrong when a run with faults has ended, however it did; `out` as it then lies there."""
    run = trial.runs[-1]
    found = [each for ended in trial.runs for each in wrong_ending(ended)] + half_visible(out, expected)
    if run.code in _ENDINGS and not found:
        found += untrue(run, out, expected)
    return found


def after_plain_run(trial: Trial, out: Destination, expected: Expected) -> list[str]:
    """What is wrong after the plain run: everything must be at its end."""
    run = trial.runs[-1]
    if run.code != (3 if expected.failed else 0):
        return [f"the plain run ended with {run.code}: {run.stderr.strip()[-400:]} {run.stdout.strip()[-400:]}"]
    found = [*half_visible(out, expected), *untrue(run, out, expected)]
    report = json.loads(run.stdout)
    failed = {each["video"] for each in report["failures"]}
    if failed != expected.failed:
        found.append(f"failed are {sorted(failed)}, and can only be {sorted(expected.failed)}: {report['failures']}")
    if missing := set(expected.hashes) - set(out.published()):
        found.append(f"not published: {sorted(missing)}")
    if out.sealed() != out.published():
        found.append(f"published are {out.published()}, and records are there of {out.sealed()}")
    if expected.proved:
        found += unproved(trial, expected)
    return found + left_over(out, trial)


def unproved(trial: Trial, expected: Expected) -> list[str]:
    """What the program's own proof does not find good."""
    finished = trial.command_line.run("verify", trial.source, trial.target, "--json", environment=trial.environment)
    problems = json.loads(finished.stdout)["problems"]
    return [f"not proved: {each}" for each in problems if each["video"] not in expected.failed]


def wrong_ending(run: Run) -> list[str]:
    """A run ends with a result, or with one line that says why, or was killed."""
    found = [f"a traceback was shown: {run.stderr[-600:]}"] if "Traceback" in run.stderr else []
    if run.code in _ENDINGS:
        if len(run.stdout.splitlines()) != 1:
            found.append(f"stdout is no single line of JSON: {run.stdout[-300:]!r}")
    elif run.code in _EXPLAINED:
        last = (run.stderr.strip().splitlines() or [""])[-1]
        if not last.startswith("restore-archive: "):
            found.append(f"it ended with {run.code} and does not say why: {run.stderr[-600:]!r}")
    elif run.code not in (-9, -15):
        found.append(f"it ended with {run.code}: {run.stderr[-600:]!r}")
    return found


def half_visible(out: Destination, expected: Expected) -> list[str]:
    """Whatever has a final name is whole, and a record beside it tells of it."""
    found = []
    for name in out.published():
        content = hashlib.sha256((out.folder / name).read_bytes()).hexdigest()
        if not expected.allows(name, content):
            found.append(f"{name} is visible and is not what an undisturbed run publishes")
        record = out.folder / f"{name}{RECORD}"
        if record.exists() and (text := record.read_text()) and json.loads(text)["result"]["sha256"] != content:
            found.append(f"the record of {name} tells of another file")
    return found


def untrue(run: Run, out: Destination, expected: Expected) -> list[str]:
    """Where the report, the records and what is published do not say the same."""
    report = json.loads(run.stdout.splitlines()[0])
    videos, failures = report["videos"], report["failures"]
    parts = sum(videos[kind] for kind in ("restored", "unchanged", "skipped", "failed"))
    found = []
    if not videos["total"] == parts == len(expected.videos):
        found.append(f"the counts do not add up for {len(expected.videos)} videos: {videos}")
    if len(failures) != videos["failed"] or len({each["video"] for each in failures}) != len(failures):
        found.append(f"{videos['failed']} failed, and failures are {failures}")
    found += [f"no stage or no reason: {each}" for each in failures if not (each["stage"] and each["error"])]
    records, failed = out.records(), {each["video"] for each in failures}
    for name in sorted(expected.videos):
        found += _untrue_of_video(name, name in failed, records.get(name), out)
    if run.code != (3 if failures else 0):
        found.append(f"exit code {run.code} with {len(failures)} failures")
    made = [row for row in records.values() if row["run_id"] == report["run_id"] and row["status"] != "failed"]
    for count in ("restored", "rejected", "blurred"):
        if sum(row[count] for row in made) != report["frames"][count]:
            found.append(f"the report counts {report['frames'][count]} frames {count}, its records say otherwise")
    return found


def _untrue_of_video(name: str, failed: bool, row: Mapping[str, Any] | None, out: Destination) -> list[str]:
    if row is None:
        return [f"{name} has no record in videos.parquet"]
    if failed != (row["status"] == "failed"):
        return [f"{name} is {row['status']} in videos.parquet, and the report says otherwise"]
    if failed:
        return []
    found = []
    if row["output"] not in out.published() or row["output"] not in out.sealed():
        found.append(f"{name} counts as {row['status']} and is not visible with its record")
    else:
        manifest = out.manifest(name)
        restored = sum(line["action"] == "restored" for line in manifest)
        if (len(manifest), restored) != (row["frames"], row["restored"]):
            found.append(f"{name}: its manifest has {len(manifest)} frames, {restored} restored; its row {row}")
    return found


def left_over(out: Destination, trial: Trial) -> list[str]:
    """What nobody needs any more: temporary data, leases, scratch files; and the trial's own findings."""
    inside = ("_restore/work/", "_restore/tmp/", "_restore/lease/")
    found = [f"left in the destination: {name}" for name in out.files() if name.startswith(inside)]
    scratch = trial.temporary.glob("restore-archive-*") if trial.temporary.exists() else ()
    return found + [f"left in TMPDIR: {path.name}" for path in scratch]


def done_twice(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Calls that were carried out again although they had come to their end."""
    ended: dict[tuple[Any, ...], int] = {}
    for event in events:
        if event["what"] == "done" and not event["reused"] and event["stage"] != "publish":
            key = call_key(event)
            ended[key] = ended.get(key, 0) + 1
    return [f"{key} was done {count} times" for key, count in ended.items() if count > 1]


def call_key(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which call an event tells of."""
    return tuple(event.get(name) for name in ("stage", "video", "version", "first", "stop"))
