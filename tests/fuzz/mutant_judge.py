"""What a run over changed files must hold to, whatever was in them. Judges what was seen and starts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.fuzz.mutant_run import Seen

MEMORY_BYTES = int(1.8 * (1 << 30))
"""Of resident memory that any process of the run may ever have."""
_RECORD = ".restoration.json"
_CHECKSUMS = (".framemd5", ".source.framemd5")
_INTERNAL = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Interrupt)\b|\bTraceback\b|\b0x[0-9a-f]{6,}\b")
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z]*: ")
_BROUGHT_DOWN = re.compile(r"killed its worker|lost its worker|did not end in time")
_STATUSES = ("restored", "unchanged", "failed")
_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Finding:
    """video: whose file is to blame, where that is known."""

    video: str | None
    what: str


def judged(seen: Seen) -> list[Finding]:
    """Every breach; none: all held."""
    return [*_ends(seen), *_counts(seen), *_reasons(seen), *_published(seen), *_leavings(seen)]


def is_internal(reason: str, video: str) -> bool:
    """Whether a reason is the program's own trouble and not a word to a person: it begins with the name of a class (as
    errors do that nobody foresaw), names one, or shows an address in memory."""
    without = reason.replace(video, "its file")
    return _CLASS_NAME.match(without) is not None or _INTERNAL.search(without) is not None


def _ends(seen: Seen) -> Iterator[Finding]:
    if seen.code is None:
        yield Finding(None, f"the run had not ended after {seen.seconds:.0f} s")
    elif seen.code not in (0, 3):
        yield Finding(None, f"the run ended with {seen.code}: {seen.stderr.strip()[-300:]}")
    if "Traceback" in seen.stderr:
        yield Finding(None, f"the run told of its inside: {seen.stderr.strip()[-600:]}")
    for process, peak in seen.peaks.items():
        if peak > MEMORY_BYTES:
            yield Finding(None, f"{process} had {peak >> 20} MiB of memory, more than {MEMORY_BYTES >> 20}")
    if seen.left:
        yield Finding(None, f"processes outlived the run: {seen.left}")


def _counts(seen: Seen) -> Iterator[Finding]:
    if seen.code is None or seen.code not in (0, 3):
        return
    try:
        told = json.loads(seen.stdout)
    except ValueError:
        yield Finding(None, f"no JSON object on stdout: {seen.stdout[-300:]!r}")
        return
    videos = told["videos"]
    total = videos["restored"] + videos["unchanged"] + videos["skipped"] + videos["failed"]
    if not len(seen.videos) == videos["total"] == total:
        yield Finding(None, f"{len(seen.videos)} files, and the summary counts {videos}")
    if seen.code != (3 if videos["failed"] else 0):
        yield Finding(None, f"{videos['failed']} failed, and the exit code is {seen.code}")
    if len(told["failures"]) != videos["failed"]:
        yield Finding(None, f"{videos['failed']} failed, and {len(told['failures'])} are named")
    for video in seen.videos.symmetric_difference(seen.records):
        yield Finding(video, "has no record" if video in seen.videos else "has a record, and is no file of the source")
    for status in _STATUSES:
        found = sum(row["status"] == status for row in seen.records.values())
        if found != videos[status]:
            yield Finding(None, f"{found} records say {status}, and the summary counts {videos[status]}")


def _reasons(seen: Seen) -> Iterator[Finding]:
    for video, row in seen.records.items():
        reason = row["error"] or ""
        if row["status"] != "failed":
            continue
        if not reason.strip() or len(reason.splitlines()) != 1 or len(reason) > _LONGEST_REASON or not row["stage"]:
            yield Finding(video, f"failed [{row['stage']}] without one clear line: {reason!r}")
        elif is_internal(reason, video):
            yield Finding(video, f"failed [{row['stage']}] with what only its makers understand: {reason}")
        elif _BROUGHT_DOWN.search(reason):
            yield Finding(video, f"brought its workers down: {reason}")


def _published(seen: Seen) -> Iterator[Finding]:
    outputs = {row["output"] for row in seen.records.values() if row["status"] != "failed"}
    visible = {name for name in seen.files if not name.startswith("_restore/")}
    needed = outputs | {f"{output}{_RECORD}" for output in outputs}
    for output in outputs:
        checksums = {f"{output}{suffix}" for suffix in _CHECKSUMS}  # of masters alone
        if checksums & visible:
            needed |= checksums
    for name in sorted(visible.symmetric_difference(needed)):
        what = "is visible, and was not published" if name in visible else "was published, and is not there"
        yield Finding(name, what)
    if "problems" not in seen.verified:
        yield Finding(None, f"verify ended with {seen.verified_code} and printed no report")
        return
    failed = {video for video, row in seen.records.items() if row["status"] == "failed"}
    wrong = {each["video"]: each["problems"] for each in seen.verified["problems"]}
    for video in sorted(failed.symmetric_difference(wrong)):
        yield Finding(video, f"does not verify: {wrong[video]}" if video in wrong else "failed, and verifies")
    if seen.verified_code != (3 if wrong else 0):
        yield Finding(None, f"verify ended with {seen.verified_code}, and {len(wrong)} are wrong")


def _leavings(seen: Seen) -> Iterator[Finding]:
    failed = [video for video, row in seen.records.items() if row["status"] == "failed"]
    for name in seen.temporary:
        yield Finding(None, f"left in TMPDIR: {name}")
    for name in seen.files:
        if name.startswith(("_restore/tmp/", "_restore/lease/")):
            yield Finding(None, f"left in the destination: {name}")
        if name.startswith("_restore/work/") and not any(name.startswith(f"_restore/work/{each}/") for each in failed):
            yield Finding(None, f"temporary data of no failed video: {name}")
        if name.startswith("_restore/manifests/") and any(
            name.startswith(f"_restore/manifests/{each}/") for each in failed
        ):
            yield Finding(None, f"a manifest of a failed video: {name}")
