"""An S3 server that is unwell: broken bodies, wrong lengths, refusals and outages, each as it is told and outlived."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import pytest

from deblur_core.errors import (
    ObjectChangedError,
    StorageError,
    UnavailableError,
    may_pass,
)
from deblur_core.retry import Backoff
from deblur_core.storage import ObjectInfo, open_store
from deblur_core.storage.s3_transfers import TransferSizes

MEBIBYTE = 1024 * 1024
SMALL_PARTS = TransferSizes(5 * MEBIBYTE, 5 * MEBIBYTE, 5 * MEBIBYTE)


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server on loopback that answers every GET by `answer`, and S3 stores that use it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", uuid.uuid4().hex)
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_body_that_breaks_off_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        handler.send_response(206)
        handler.send_header("Content-Length", "10")
        handler.send_header("ETag", '"v1"')
        handler.end_headers()
        handler.wfile.write(b"0123456789" if len(requests) == 3 else b"01234")
        handler.close_connection = True

    with answering(answer, monkeypatch):
        assert open_store("s3://bucket").read_range("k", 0, 10, etag="v1") == b"0123456789"
    assert len(requests) == 3


def test_a_server_that_ignores_if_match_cannot_mix_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Length", "3")
        handler.send_header("ETag", '"v2"')
        handler.end_headers()
        handler.wfile.write(b"new")

    with answering(answer, monkeypatch), pytest.raises(ObjectChangedError):
        open_store("s3://bucket").read_range("k", 0, 3, etag="v1")


def test_a_server_that_lists_out_of_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = '<Size>0</Size><ETag>"e"</ETag><LastModified>2020-01-01T00:00:00Z</LastModified>'
    entries = "".join(f"<Contents><Key>{key}</Key>{rest}</Contents>" for key in "ba")
    listing = f"<ListBucketResult>{entries}</ListBucketResult>".encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(listing)))
        handler.end_headers()
        handler.wfile.write(listing)

    with answering(answer, monkeypatch), pytest.raises(StorageError, match="out of order"):
        list(open_store("s3://bucket").list())


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (503, ""), (429, "")])
def test_a_server_that_is_unwell_is_asked_again_and_then_told_to_be(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    requests: list[str] = []
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        send(handler, status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())

    with answering(answer, monkeypatch), pytest.raises(UnavailableError, match=f"the store answers {status}") as caught:
        open_store("s3://bucket").read("k")
    assert may_pass(caught.value)
    assert len(requests) == 2


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchKey"), (400, "InvalidArgument")])
def test_a_server_that_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, status: int, code: str) -> None:
    requests: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        send(handler, status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())

    with answering(answer, monkeypatch), pytest.raises(StorageError) as caught:
        open_store("s3://bucket").read("k")
    assert not may_pass(caught.value)
    assert len(requests) == 1


def test_a_body_that_always_breaks_off_may_pass_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deblur_core.storage.s3._BODY_BACKOFF", Backoff(3, 0.0, 0.0))
    requests: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler.path)
        send(handler, 200, b"01234", length=10)
        handler.close_connection = True

    with answering(answer, monkeypatch), pytest.raises(UnavailableError, match="the answer broke off; run again"):
        open_store("s3://bucket").read("k")
    assert len(requests) == 3


@pytest.mark.parametrize("spelling", ["sha256", "Sha256"])
def test_half_an_answer_that_says_it_is_whole_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    bodies = [b"01234", b"01234567x9", b"0123456789"]
    metadata = {f"x-amz-meta-{spelling}": hashlib.sha256(bodies[-1]).hexdigest()}
    left = bodies.copy()
    with answering(lambda handler: send(handler, 200, left.pop(0), headers=metadata), monkeypatch):
        assert open_store("s3://bucket").read("k") == bodies[-1]
    assert not left


def test_what_never_comes_as_it_was_written_may_pass_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deblur_core.storage.s3._BODY_BACKOFF", Backoff(2, 0.0, 0.0))
    metadata = {"x-amz-meta-sha256": hashlib.sha256(b"0123456789").hexdigest()}
    with (
        answering(lambda handler: send(handler, 200, b"01234", headers=metadata), monkeypatch),
        pytest.raises(UnavailableError, match="the answer is not what was written there; run again") as caught,
    ):
        open_store("s3://bucket").read("k")
    assert may_pass(caught.value)


def test_a_part_of_what_was_written_is_no_half_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = {"x-amz-meta-sha256": hashlib.sha256(b"0123456789").hexdigest()}
    with answering(lambda handler: send(handler, 206, b"01234", headers=metadata), monkeypatch):
        assert open_store("s3://bucket").read_range("k", 0, 5) == b"01234"


def test_a_file_whose_ranges_come_short_may_pass_later(monkeypatch: pytest.MonkeyPatch) -> None:
    info = ObjectInfo("k", 1000, "v1", 0.0)
    with (
        answering(lambda handler: send(handler, 206, b"01234"), monkeypatch),
        open_store("s3://bucket").open("k", info) as file,
        pytest.raises(UnavailableError, match="5 bytes came for 1000 asked at byte 0"),
    ):
        file.read(10)


def test_a_listing_that_is_cut_may_pass_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with (
        answering(lambda handler: send(handler, 200, b"<ListBucketResult><Contents><Key>a"), monkeypatch),
        pytest.raises(UnavailableError, match="the store answers 500 again and again"),
    ):
        list(open_store("s3://bucket").list())


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    length: int | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.send_header("ETag", '"v1"')
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
