"""One run at a time in a place (a destination, or WORK elsewhere): a lease there, which the run that holds it renews.

An object under `_restore/lease/`, numbered. Who wants it puts the next number, if absent: one of many wins, and the
highest number holds. The holder renews its object every 20 s and takes it away at the end. One that is not renewed for
120 s is that of a run that was killed, and the next number may be taken; at once, where its process is known to be
gone, because it ran on this machine.

No clock is compared with another: who finds a lease watches it for as long as its own steady clock says, and whether it
changes is all that counts. So clocks that are wrong or jump, here, there or in the store, do nothing.

What a lease cannot do is stop a run that slept through it (a suspended machine). That one finds the higher number at
its next renewal and ends; until then both write the same objects of the same content under the same keys, atomically.
"""

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import NoReturn

from deblur_core.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    BusyDestinationError,
    LeaseLostError,
    ObjectNotFoundError,
    StorageError,
)
from deblur_core.storage.keys import printable
from deblur_core.storage.store import ObjectStore
from deblur_core.storage.this_process import ProcessMark, this_process

log = logging.getLogger(__name__)

LEASE_PREFIX = "_restore/lease/"
_RELEASED = b"{}"
_NUMBER = re.compile(re.escape(LEASE_PREFIX) + r"(\d{8})\.json")


@dataclass(frozen=True)
class LeaseTimes:
    """Seconds. look: between two looks at another's lease. An expiry is several renewals: one may fail."""

    renew: float = 20.0
    expire: float = 120.0
    look: float = 5.0


NORMAL = LeaseTimes()


@dataclass(frozen=True)
class Holder:
    """Who holds a lease. since: for people, by its own clock; renewals: what changes when it is renewed."""

    run_id: str
    since: str
    process: ProcessMark
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    renewals: int = 0

    def described(self) -> str:
        return f"run {self.run_id} on {self.process.host}, process {self.process.process_id}, since {self.since}"

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True)
class _Found:
    """The lease with the highest number, as it lies in the store; holder is None where it is not readable."""

    number: int
    content: bytes
    holder: Holder | None

    @property
    def described(self) -> str:
        return self.holder.described() if self.holder else "an unknown run"


class Lease:
    """A lease that is held, and renewed by a thread of its own until `release`."""

    def __init__(self, store: ObjectStore, number: int, holder: Holder, times: LeaseTimes = NORMAL) -> None:
        self._store, self._number, self._holder, self._times = store, number, holder, times
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._lost: LeaseLostError | None = None
        self._tell: list[Callable[[LeaseLostError], None]] = []
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def keep(self) -> None:
        """Begins to renew it."""
        self._thread.start()

    def when_lost(self, tell: Callable[[LeaseLostError], None]) -> None:
        """`tell` is called, from another thread, when another run has taken it; at once where one has already."""
        with self._lock:
            self._tell.append(tell)
            lost = self._lost
        if lost is not None:
            tell(lost)

    def renew(self) -> None:
        """Says that this run still lives. Raises LeaseLostError when another has taken over, StorageError."""
        found = _latest(self._store)
        mine = found is None or found.number < self._number
        if found is not None and found.number == self._number:
            mine = found.holder is not None and found.holder.token == self._holder.token
        if not mine:
            assert found is not None
            raise LeaseLostError(
                f"{found.described} has taken over {self._store.url}, because this run did not renew its lease for "
                f"{self._times.expire:.0f} s; this one ends, the other goes on"
            )
        self._holder = replace(self._holder, renewals=self._holder.renewals + 1)
        self._store.put(_key(self._number), self._holder.to_bytes())

    def release(self) -> None:
        """Lets others in. What the store refuses is not this run's trouble any more: the lease then expires."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._times.renew)
        if self._lost is None:
            with suppress(StorageError):
                _remove(self._store, self._number)

    def _keep(self) -> None:
        while not self._over.wait(self._times.renew):
            try:
                self.renew()
            except LeaseLostError as error:
                with self._lock:
                    self._lost = error
                    tell = list(self._tell)
                for each in tell:
                    each(error)
                return
            except StorageError as error:
                log.warning("the lease of %s cannot be renewed just now: %s", self._store.url, error)


@contextmanager
def held_lease(store: ObjectStore, run_id: str, times: LeaseTimes = NORMAL) -> Iterator[Lease]:
    """Holds the lease of a destination. Raises BusyDestinationError when another run does, StorageError."""
    lease = acquire(store, run_id, times)
    lease.keep()
    try:
        yield lease
    finally:
        lease.release()


def acquire(
    store: ObjectStore,
    run_id: str,
    times: LeaseTimes = NORMAL,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Lease:
    """Takes the lease; not yet renewed. Watches another's for up to `times.expire`, if it may be a dead run's.

    Raises BusyDestinationError when another run is at work, StorageError.
    """
    me = Holder(run_id, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), this_process())
    watched, since, told = None, clock(), False
    while True:
        found = _latest(store)
        if found is None or _is_dead(found) or (found == watched and clock() - since >= times.expire):
            number = 1 if found is None else found.number + 1
            if store.put_if_absent(_key(number), me.to_bytes()) and _is_highest(store, number):
                _remove_below(store, number)
                return Lease(store, number, me, times)
            watched = None
            continue
        if _is_alive(found) or (watched is not None and found != watched):
            _decline(store, found)
        if watched is None:
            watched, since = found, clock()
        elif not told and clock() - since > times.renew + times.look:
            told = True
            log.warning("%s seems to be dead; its lease is taken over %.0f s after it", found.described, times.expire)
        sleep(times.look)


def refuse_if_held(store: ObjectStore) -> None:
    """Raises BusyDestinationError where another process of this machine holds the lease; a look, nothing is written."""
    found = _latest(store)
    if found is not None and _is_alive(found):
        _decline(store, found)


def remove_dead(store: ObjectStore) -> None:
    """Takes away the lease of a run of this machine that was killed, for who has nothing to do that he would hold one
    for. Who takes it over at this very moment puts a higher number. What the store refuses stays."""
    with suppress(StorageError):
        found = _latest(store)
        if found is not None and _is_dead(found):
            _remove(store, found.number)


def _decline(store: ObjectStore, found: _Found) -> NoReturn:
    raise BusyDestinationError(
        f"another run writes into {store.url}: {found.described}; wait until it has ended, or name another place"
    )


def _latest(store: ObjectStore) -> _Found | None:
    try:
        numbers = [int(match[1]) for info in store.list(LEASE_PREFIX) if (match := _NUMBER.fullmatch(info.key))]
    except BucketNotFoundError:
        return None
    if not numbers:
        return None
    number = max(numbers)
    try:
        content = store.read(_key(number))
    except ObjectNotFoundError:  # given back since
        return None
    return _Found(number, content, _holder(content))


def _holder(content: bytes) -> Holder | None:
    try:
        told = json.loads(content)
        process = ProcessMark(
            host=printable(told["process"]["host"]),
            process_id=int(told["process"]["process_id"]),
            **{name: str(told["process"][name]) for name in ("boot", "namespace", "started")},
        )
        return Holder(
            printable(told["run_id"]), printable(told["since"]), process, str(told["token"]), int(told["renewals"])
        )
    except (ValueError, TypeError, KeyError):
        return None


def _is_dead(found: _Found) -> bool:
    return found.content == _RELEASED or (found.holder is not None and found.holder.process.is_dead())


def _is_alive(found: _Found) -> bool:
    return found.holder is not None and found.holder.process.is_alive()


def _is_highest(store: ObjectStore, number: int) -> bool:
    """Where a listing was stale, a higher one may turn up; then this one is given back."""
    found = _latest(store)
    if found is None or found.number <= number:
        return True
    _remove(store, number)
    return False


def _remove(store: ObjectStore, number: int) -> None:
    try:
        store.delete(_key(number))
    except AccessDeniedError:  # the right to delete may be missing: then it says of itself that it is over
        store.put(_key(number), _RELEASED)


def _remove_below(store: ObjectStore, number: int) -> None:
    with suppress(StorageError):
        for info in list(store.list(LEASE_PREFIX)):
            match = _NUMBER.fullmatch(info.key)
            if match and int(match[1]) < number:
                store.delete(info.key)


def _key(number: int) -> str:
    return f"{LEASE_PREFIX}{number:08d}.json"
