"""S3 that fails in all the ways that S3 does: behind a proxy in front of a real server."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from deblur_core.storage import ObjectStore, open_store
from tests.chaos.proxy import SLOW_SECONDS, Answered, Proxy, StoreFault
from tests.chaos.trial import Run, Trial
from tests.conftest import S3Server, running_swift
from tests.flows.archive import Destination

_READ_SECONDS = 3
_ALL = ("get", "put", "head", "list", "delete")
_WRITERS = 16
_RACES = 4
_CHANCE = 0.1
_REFUSALS = (400, 403)
_SLOW = "S3: a slow answer"

KINDS: tuple[StoreFault, ...] = (
    StoreFault("S3: 500 internal error", _ALL, "status", (500, "InternalError")),
    StoreFault("S3: 503 slow down", _ALL, "status", (503, "SlowDown")),
    StoreFault("S3: 503 for longer than one request is retried", ("get", "put"), "status", (503, "SlowDown"), 5),
    StoreFault("S3: done, but answered 500", ("put", "delete"), "after", (500, "InternalError")),
    StoreFault("S3: 403 access denied", ("get", "put"), "status", (403, "AccessDenied")),
    StoreFault("S3: 403, this machine's clock is wrong", ("get", "put"), "status", (403, "RequestTimeTooSkewed")),
    StoreFault("S3: 400, the credentials have expired", ("get", "put"), "status", (400, "ExpiredToken")),
    StoreFault("S3: 507, the store is full", ("put",), "status", (507, "InsufficientStorage")),
    StoreFault("S3: no answer", _ALL, "silent"),
    StoreFault(_SLOW, _ALL, "slow"),
    StoreFault("S3: connection reset before the request", _ALL, "reset"),
    StoreFault("S3: connection reset amid an upload", ("put",), "reset_amid"),
    StoreFault("S3: connection reset, the answer is lost", ("put", "delete", "get"), "lost"),
    StoreFault("S3: a body that is cut", ("get", "list"), "cut"),
    StoreFault("S3: a body shorter than asked for, said to be whole", ("get",), "short"),
    StoreFault("S3: more bytes than announced", ("get",), "long"),
    StoreFault("S3: a stale listing", ("list",), "stale"),
)


@dataclass
class FaultyStore:
    """A server and the proxy before it. `begin` makes it a trial's own."""

    server: S3Server
    proxy: Proxy

    def begin(self, trial: Trial) -> None:
        """A bucket for a trial, whose runs go through the proxy from now on."""
        self.proxy.withdraw()
        self.proxy.book.clear()
        bucket = self.server.create_bucket()
        trial.bucket = bucket
        trial.target = f"s3://{bucket}/restored"
        trial.environment |= self.server.environment() | {
            "AWS_ENDPOINT_URL": self.proxy.url,
            "CHAOS_READ_SECONDS": str(_READ_SECONDS),
        }

    def upload_source(self, trial: Trial) -> None:
        """The archive lies in the bucket, too."""
        for path in sorted(trial.archive.source.rglob("*")):
            if path.is_file():
                key = f"archive/{path.relative_to(trial.archive.source).as_posix()}"
                self.server.client.put_object(Bucket=trial.bucket, Key=key, Body=path.read_bytes())
        trial.source = f"s3://{trial.bucket}/archive"

    def copy_of(self, trial: Trial) -> Destination:
        """The destination as it lies there, in a folder; the proxy is not asked."""
        copy = Destination(trial.folder / f"copy-{len(trial.runs)}")
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=trial.bucket, Prefix="restored/")
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            target = copy.folder / str(entry["Key"]).removeprefix("restored/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.server.client.get_object(Bucket=trial.bucket, Key=entry["Key"])["Body"].read())
        return copy

    def left_over(self, trial: Trial) -> list[str]:
        """Uploads in parts that nobody has ended."""
        uploads = self.server.client.list_multipart_uploads(Bucket=trial.bucket).get("Uploads", [])
        return [f"an upload in parts is left: {upload['Key']}" for upload in uploads]


@contextmanager
def faulty_store(folder: Path) -> Iterator[FaultyStore]:
    with running_swift(folder) as server, Proxy(server.endpoint_url).serving() as proxy:
        yield FaultyStore(server, proxy)


def passes(fault: StoreFault) -> bool:
    """Whether a run must get over it: what the store refuses stays so."""
    return not (fault.act == "status" and fault.argument[0] in _REFUSALS)


def faults(trial: Trial, store: FaultyStore) -> None:
    """All kinds, twice, in a random order: in one run those that do not pass, in the next, which has to get over them,
    those that do."""
    if trial.chance.random() < 0.5:
        store.upload_source(trial)
    trial.afterwards.append(lambda: _tell(trial, store))
    for passing in (False, True):
        planned = [fault for fault in KINDS if passes(fault) is passing] * 2
        trial.chance.shuffle(planned)
        store.proxy.plan(planned, _CHANCE, f"{trial.name} {passing}")
        run = trial.run()
        trial.left += store.proxy.withdraw()
        if passing:
            _must_get_over(trial, run)


def _must_get_over(trial: Trial, run: Run) -> None:
    failures = json.loads(run.stdout)["failures"] if run.code in (0, 3) else []
    wrong = [each for each in failures if each["video"] not in trial.expected.failed]
    if wrong or run.code != 3:
        trial.notes.append(f"what passes made a run end with {run.code}, or videos fail: {wrong} {run.stderr[-300:]}")


def _tell(trial: Trial, store: FaultyStore) -> None:
    """Once the plain run is over, which asks again for what was refused."""
    for fault in told_by(store.proxy.book, [run.ended for run in trial.runs]):
        trial.fault(fault.kind, run=trial.runs[0].mark, outcome=fault.outcome, seconds=fault.seconds)


@dataclass(frozen=True)
class Told:
    """What became of a faulty answer. seconds: until the same request was answered well; None where it never was."""

    kind: str
    outcome: str
    seconds: float | None


def told_by(book: list[Answered], runs_ended: Sequence[float]) -> list[Told]:
    """Of all faults in a proxy's book; runs_ended: when each run was over, of the steady clock."""
    found = []
    for place, entry in enumerate(book):
        if entry.fault == _SLOW:
            found.append(Told(entry.fault, "waited for", SLOW_SECONDS))
        elif entry.fault:
            good = next((later for later in book[place + 1 :] if later.is_good and later.is_as(entry)), None)
            if good is None:
                found.append(Told(entry.fault, "nothing was lost, nobody asked again", None))
            elif good.at < next(ended for ended in runs_ended if ended >= entry.at):
                found.append(Told(entry.fault, "asked again and answered", good.at - entry.at))
            else:
                found.append(Told(entry.fault, "the run after it asked again", good.at - entry.at))
    return found


def uploads(trial: Trial, store: FaultyStore) -> None:
    """Killed in the middle of an upload in parts: first the driver with all it has, then the actor."""
    trial.ticket("killed in the middle of an upload in parts: driver", "part", "kill_group", trial.driver_file)
    trial.run()
    trial.ticket("killed in the middle of an upload in parts: actor", "part", "kill")
    trial.run()


def writers(trial: Trial, store: FaultyStore) -> None:
    """Sixteen writers on one key through the proxy: one wins where there must be one, and what lies there is whole."""
    with patch.dict(os.environ, trial.environment):
        place = open_store(f"s3://{trial.bucket}/one")
        for number in range(_RACES):
            _race(trial, place, number)


def _race(trial: Trial, store: ObjectStore, number: int) -> None:
    together = threading.Barrier(_WRITERS)
    contents = [json.dumps({"writer": writer, "word": uuid.uuid4().hex * 2000}).encode() for writer in range(_WRITERS)]

    def put(writer: int) -> bool:
        together.wait()
        if number % 2:
            return bool(store.put(f"key-{number}", contents[writer]))
        return bool(store.put_if_absent(f"key-{number}", contents[writer]))

    with ThreadPoolExecutor(_WRITERS) as threads:
        won = list(threads.map(put, range(_WRITERS)))
    left = store.read(f"key-{number}")
    if left not in contents:
        trial.notes.append(f"{_WRITERS} writers on one key left what none of them wrote")
    if not number % 2 and (sum(won) != 1 or left != contents[won.index(True)]):
        trial.notes.append(f"of {_WRITERS} writers of one absent key {sum(won)} won")
    kind = "if absent" if not number % 2 else "in any case"
    trial.fault(f"S3: {_WRITERS} writers on one key, {kind}", outcome="one stays, whole", seconds=None)
