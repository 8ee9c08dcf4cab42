"""The faulty proxy: requests pass through it as they are, and each fault reaches the client as what it is."""

import uuid
from collections.abc import Iterator

import pytest

from deblur_core.errors import AccessDeniedError, StorageError, UnavailableError
from deblur_core.storage import ObjectStore, open_store
from deblur_core.storage.s3 import S3ObjectStore
from tests.chaos.proxy import Answered, Asked, Proxy, StoreFault
from tests.chaos.stores import KINDS, told_by
from tests.conftest import S3Server

CONTENT = bytes(range(256)) * 64


@pytest.fixture(scope="module")
def proxy(moto_s3: S3Server) -> Iterator[Proxy]:
    with Proxy(moto_s3.endpoint_url).serving() as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    monkeypatch.setattr("tests.chaos.proxy.SILENT_SECONDS", 1.0)
    monkeypatch.setattr("tests.chaos.proxy.SLOW_SECONDS", 0.1)
    monkeypatch.setattr("deblur_core.storage.s3_client._READ_SECONDS", 0.5)
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    store = open_store(f"s3://{moto_s3.shared_bucket}/{uuid.uuid4().hex}")
    store.put("a", CONTENT)
    assert [info.key for info in store.list()] == ["a"]
    proxy.book.clear()
    return store


def use(store: ObjectStore) -> None:
    """A request of each kind that faults are for."""
    store.put("b", CONTENT)
    assert store.read("b") == CONTENT
    assert store.read_range("b", 256, 256) == CONTENT[256:512]
    assert store.head("b").size_bytes == len(CONTENT)
    assert [info.key for info in store.list()] in (["a"], ["a", "b"])
    store.delete("b")


def test_all_passes_through_where_there_is_no_fault(store: ObjectStore, proxy: Proxy) -> None:
    use(store)
    assert {entry.asked.what for entry in proxy.book} == {"put", "get", "head", "list", "delete"}
    assert all(entry.is_good for entry in proxy.book)


REFUSALS = {403: AccessDeniedError, 400: AccessDeniedError, 507: StorageError}


@pytest.mark.parametrize("fault", KINDS, ids=lambda fault: fault.kind)
def test_each_fault_is_overcome_or_told_as_what_it_is(store: ObjectStore, proxy: Proxy, fault: StoreFault) -> None:
    proxy.plan([fault], 1.0, "always")
    status = fault.argument[0] if fault.act == "status" else 0
    if status in REFUSALS or fault.often > 1:
        with pytest.raises(REFUSALS.get(status, UnavailableError)):
            use(store)
    use(store)
    told = told_by(proxy.book, [float("inf")])
    assert [each.kind for each in told] == [fault.kind]
    assert proxy.withdraw() == 0


def test_what_became_of_a_fault_is_read_from_the_book() -> None:
    asked = Asked("GET", "/bucket/a", "get")
    fault, other, good = Answered(1.0, asked, 0, "S3: 500"), Answered(2.0, asked, 503), Answered(4.0, asked, 200)
    assert told_by([fault, other, good], [5.0])[0].outcome == "asked again and answered"
    assert told_by([fault, other, good], [5.0])[0].seconds == 3.0
    assert told_by([fault, other, good], [3.0, 9.0])[0].outcome == "the run after it asked again"
    assert told_by([fault, other], [5.0])[0].seconds is None


def test_a_stale_listing_is_what_it_was_the_first_time(store: ObjectStore, proxy: Proxy) -> None:
    assert isinstance(store, S3ObjectStore)
    store.put("b", b"later")
    proxy.plan([StoreFault("stale", ("list",), "stale")], 1.0, "always")
    assert [info.key for info in store.list()] == ["a"]
    assert [info.key for info in store.list()] == ["a", "b"]
