"""Who may write into a destination: one run at a time, whatever became of the one before, and whatever clocks say."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import BusyDestinationError, LeaseLostError, UnavailableError, UsageError
from deblur_core.storage import ObjectStore, open_store
from deblur_core.storage.folder import FolderObjectStore
from deblur_core.storage.lease import LEASE_PREFIX, Holder, Lease, LeaseTimes, acquire, held_lease, remove_dead
from deblur_core.storage.this_process import ProcessMark, this_process

TIMES = LeaseTimes(renew=20.0, expire=120.0, look=5.0)
ELSEWHERE = ProcessMark("otherhost", 4711, "another boot", "pid:[1]", "99")


@dataclass
class Waiting:
    """A clock that goes on only by sleeping; `meanwhile` happens in each sleep."""

    seconds: float = 0.0
    meanwhile: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile()


@pytest.fixture(params=["folder", "moto"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(tmp_path / "out")
    server = request.getfixturevalue("moto_s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{server.shared_bucket}/{uuid.uuid4().hex}")


def take(store: ObjectStore, run_id: str, waiting: Waiting | None = None) -> Lease:
    waiting = waiting or Waiting()
    return acquire(store, run_id, TIMES, waiting.clock, waiting.sleep)


def leave(store: ObjectStore, process: ProcessMark, number: int = 1) -> Holder:
    """A lease of another run, that was not given back."""
    holder = Holder("20260101T000000-aaaaaa", "2026-01-01 00:00:00 UTC", process)
    store.put(f"{LEASE_PREFIX}{number:08d}.json", holder.to_bytes())
    return holder


def leases(store: ObjectStore) -> list[str]:
    return [info.key.removeprefix(LEASE_PREFIX) for info in store.list(LEASE_PREFIX)]


def test_a_lease_is_held_and_given_back_without_a_trace(store: ObjectStore) -> None:
    with held_lease(store, "mine", TIMES):
        assert leases(store) == ["00000001.json"]
    assert leases(store) == []


def test_a_second_run_on_this_machine_is_declined_at_once_with_who_is_there(store: ObjectStore) -> None:
    waiting = Waiting()
    with held_lease(store, "first", TIMES):
        with pytest.raises(BusyDestinationError) as caught:
            take(store, "second", waiting)
        assert leases(store) == ["00000001.json"]
    said, me = str(caught.value), this_process()
    assert f"run first on {me.host}, process {os.getpid()}, since 20" in said
    assert store.url in said
    assert "\n" not in said
    assert waiting.seconds == 0
    assert isinstance(caught.value, UsageError)  # exit code 2: nothing was written


def test_a_run_elsewhere_that_renews_declines_this_one(store: ObjectStore) -> None:
    holder = leave(store, ELSEWHERE)

    def renew() -> None:
        if waiting.seconds == 15.0:
            store.put(f"{LEASE_PREFIX}00000001.json", replace(holder, renewals=1).to_bytes())

    waiting = Waiting(meanwhile=renew)
    with pytest.raises(BusyDestinationError, match="run 20260101T000000-aaaaaa on otherhost, process 4711, since 2026"):
        take(store, "mine", waiting)
    assert waiting.seconds == 15.0


def test_the_lease_of_a_run_elsewhere_that_was_killed_expires(store: ObjectStore) -> None:
    leave(store, ELSEWHERE)
    waiting = Waiting()
    take(store, "mine", waiting)
    assert waiting.seconds == 120.0
    assert leases(store) == ["00000002.json"]


def test_the_lease_of_a_process_that_was_killed_here_is_taken_over_at_once(store: ObjectStore) -> None:
    script = "from deblur_core.storage.this_process import this_process; import dataclasses, json; print(json.dumps("
    script += "dataclasses.asdict(this_process())))"
    root = str(Path(__file__).parents[3])
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env={"PYTHONPATH": root})
    leave(store, ProcessMark(**json.loads(told.stdout)))
    waiting = Waiting()
    take(store, "mine", waiting)
    assert waiting.seconds == 0


def test_the_lease_of_a_process_that_was_killed_here_can_be_taken_away_and_no_other(store: ObjectStore) -> None:
    here = this_process()
    for process, stays in ((replace(here, started="long ago"), False), (here, True), (ELSEWHERE, True)):
        leave(store, process)
        remove_dead(store)
        assert bool(leases(store)) == stays
    remove_dead(open_store("/nowhere/at/all"))  # of nothing there is nothing to take


def test_a_process_id_that_is_used_again_is_not_the_process_that_held_the_lease(store: ObjectStore) -> None:
    leave(store, replace(this_process(), started="1"))
    assert take(store, "mine", Waiting())


@pytest.mark.parametrize("unknown", ["boot", "namespace"])
def test_of_a_process_elsewhere_nothing_is_taken_for_sure(unknown: str) -> None:
    for value in ("", "another"):
        mark = replace(this_process(), **{unknown: value})
        assert not mark.is_alive()
        assert not mark.is_dead()
    assert this_process().is_alive()


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"run_id": 1}', b'{"process": {"process_id": "../x"}}'])
def test_a_lease_that_cannot_be_read_expires_like_any_other(store: ObjectStore, content: bytes) -> None:
    store.put(f"{LEASE_PREFIX}00000007.json", content)
    waiting = Waiting()
    take(store, "mine", waiting)
    assert waiting.seconds == 120.0
    assert leases(store) == ["00000008.json"]


def test_a_clock_that_jumps_neither_ends_nor_keeps_a_lease(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall clocks of both runs, and with them the times of the objects, jump back and forth by years."""
    holder, now = leave(store, ELSEWHERE), time.time()
    jumps = iter(range(1_000_000))
    monkeypatch.setattr("time.time", lambda: now + (-1) ** next(jumps) * 3e8)

    def renew() -> None:
        if waiting.seconds == 100.0:
            store.put(f"{LEASE_PREFIX}00000001.json", replace(holder, renewals=1).to_bytes())

    waiting = Waiting(meanwhile=renew)
    with pytest.raises(BusyDestinationError):
        take(store, "mine", waiting)
    assert waiting.seconds == 100.0


def test_of_many_that_find_a_dead_run_one_takes_its_place(store: ObjectStore) -> None:
    leave(store, replace(this_process(), started="1"))

    def attempt(number: int) -> bool:
        try:
            take(store, f"run {number}")
        except BusyDestinationError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(attempt, range(8)))
    assert won.count(True) == 1
    assert leases(store) == ["00000002.json"]


def test_a_run_that_slept_finds_that_another_has_taken_over(store: ObjectStore) -> None:
    slept = take(store, "slept")
    leave(store, ELSEWHERE, number=2)
    with pytest.raises(LeaseLostError, match=r"on otherhost.* has taken over .*; this one ends, the other goes on"):
        slept.renew()
    slept.release()
    assert leases(store)[-1] == "00000002.json"  # that of the other is left to it


def test_who_holds_a_lease_hears_that_it_is_lost(store: ObjectStore) -> None:
    heard, told = threading.Event(), list[LeaseLostError]()

    def hear(error: LeaseLostError) -> None:
        told.append(error)
        heard.set()

    with held_lease(store, "mine", LeaseTimes(renew=0.01)) as lease:
        lease.when_lost(hear)
        leave(store, ELSEWHERE, number=2)
        assert heard.wait(60)
        lease.when_lost(hear)
    assert len(told) == 2


class Unwell(FolderObjectStore):
    """Refuses to answer as long as it is told to."""

    unwell = False
    refused = 0

    def put(self, key: str, data: bytes) -> Any:
        if self.unwell:
            self.refused += 1
            raise UnavailableError("503")
        return super().put(key, data)


def test_a_store_that_does_not_answer_for_a_while_costs_no_lease(tmp_path: Path) -> None:
    store = Unwell(tmp_path)
    told: list[LeaseLostError] = []
    with held_lease(store, "mine", LeaseTimes(renew=0.01)) as lease:
        lease.when_lost(told.append)
        store.unwell = True
        while store.refused < 3:
            time.sleep(0.01)
        before = store.read(f"{LEASE_PREFIX}00000001.json")
        store.unwell = False
        while store.read(f"{LEASE_PREFIX}00000001.json") == before:
            time.sleep(0.01)
    assert told == []
    assert leases(store) == []


def test_a_filesystem_without_hard_links_holds_leases_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    store = open_store(tmp_path / "out")
    with held_lease(store, "first", TIMES), pytest.raises(BusyDestinationError):
        take(store, "second")
    assert store.put_if_absent("k", b"mine")
    assert not store.put_if_absent("k", b"theirs")
    assert store.read("k") == b"mine"
