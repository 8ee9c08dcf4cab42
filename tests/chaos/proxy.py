"""A proxy on loopback in front of an S3 server that hands on every request and its answer, but for planned faults.

Requests are signed for the proxy's own address, which it hands on as it came. It knows nothing of the program.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_ERROR = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{}</Code><Message>put in on purpose</Message></Error>"
_HOP_BY_HOP = {"transfer-encoding", "connection", "keep-alive"}
AGAIN = ""
"""The kind of a fault that is part of another"""

SILENT_SECONDS = 6.0
SLOW_SECONDS = 1.5


@dataclass(frozen=True)
class Asked:
    """A request as faults choose by it. what: list, get, head, put, delete, upload (of a part), or begin and complete
    of one."""

    method: str
    path: str
    what: str


@dataclass(frozen=True)
class Answered:
    """An entry of the proxy's book. at: of the steady clock; status: 0 where none was given; fault: its kind."""

    at: float
    asked: Asked
    status: int
    fault: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it says how things are; that something is not there is an answer, too."""
        return not self.fault and 200 <= self.status < 500

    def is_as(self, other: Answered) -> bool:
        """Whether the same was asked."""
        return (self.asked.method, self.asked.path) == (other.asked.method, other.asked.path)


@dataclass(frozen=True)
class StoreFault:
    """kind: what the report calls it; of: what it is for; act: see `_Handler`; often: to how many requests in a row."""

    kind: str
    of: tuple[str, ...]
    act: str
    argument: Any = None
    often: int = 1


class Proxy:
    """Serves inside `serving`. `book` has all answers in order; `plan` faults, each for one of the next requests that
    it is for, with `chance` in 1."""

    def __init__(self, upstream: str, seed: str = "") -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.book: list[Answered] = []
        self._chance, self._random = 1.0, random.Random(seed)
        self._planned: deque[StoreFault] = deque()
        self._again: dict[Asked, tuple[StoreFault, int]] = {}
        self._lists: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {}
        self._lock = threading.Lock()
        self.url = ""

    def plan(self, faults: list[StoreFault], chance: float, seed: str) -> None:
        """chance: for each request that a fault is for."""
        with self._lock:
            self._planned, self._chance, self._random = deque(faults), chance, random.Random(seed)

    def withdraw(self) -> int:
        """Takes back what has not come about; returns how many."""
        with self._lock:
            left, self._planned = len(self._planned), deque()
            self._again.clear()
        return left

    def fault_for(self, asked: Asked) -> StoreFault | None:
        """The first of the planned ones that are for such a request, if now is the time; or the one that it had the
        last time, if that comes often."""
        with self._lock:
            if asked in self._again:
                fault, left = self._again.pop(asked)
                if left > 1:
                    self._again[asked] = fault, left - 1
                return replace(fault, kind=AGAIN)
            for fault in self._planned:
                if asked.what in fault.of and not (fault.act == "stale" and asked.path not in self._lists):
                    if self._random.random() >= self._chance:
                        return None
                    self._planned.remove(fault)
                    if fault.often > 1:
                        self._again[asked] = fault, fault.often - 1
                    return fault
        return None

    def note(self, asked: Asked, status: int, fault: str = "") -> None:
        """Into the book."""
        with self._lock:
            self.book.append(Answered(time.monotonic(), asked, status, fault))

    def first_list(self, path: str, answer: tuple[int, list[tuple[str, str]], bytes]) -> None:
        """Kept, to be given again when it is no longer true."""
        with self._lock:
            self._lists.setdefault(path, answer)

    def stale_list(self, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        with self._lock:
            return self._lists[path]

    @contextmanager
    def serving(self) -> Iterator[Proxy]:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.proxy = self
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    """Each act is a method: `act_…`."""

    protocol_version = "HTTP/1.1"
    timeout = 120
    server: _Server

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _serve(self) -> None:
        asked = asked_of(self.command, self.path, self.headers)
        fault = self.server.proxy.fault_for(asked)
        if fault is not None and fault.act == "reset_amid":
            self.rfile.read(int(self.headers.get("content-length", 0)) // 2)
            self.server.proxy.note(asked, 0, fault.kind)
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if fault is None:
            self._give(asked, self._upstream(body))
            return
        act: Callable[[Asked, StoreFault, bytes], None] = getattr(self, f"act_{fault.act}")
        # Before the act: where it takes long, what follows must not be noted before it.
        self.server.proxy.note(asked, 0, fault.kind)
        act(asked, fault, body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - names of the standard library

    def _upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=300)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _give(self, asked: Asked, answer: tuple[int, list[tuple[str, str]], bytes]) -> None:
        if asked.what == "list" and answer[0] == 200:
            self.server.proxy.first_list(asked.path, answer)
        self.server.proxy.note(asked, answer[0])
        self._send(*answer)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes, length: int | None = None) -> None:
        """length: announced, where it is not the content's own."""
        self.send_response_only(status)
        announced = {name.lower(): value for name, value in headers}
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        # What is asked for with HEAD has a length and no content.
        usual = int(announced.get("content-length", 0)) if self.command == "HEAD" else len(content)
        if status != 204:
            self.send_header("Content-Length", str(usual if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _reset(self) -> None:
        """The other side sees a reset connection, not a closed one."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def act_status(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """Refuses without asking the store."""
        status, code = fault.argument
        content = b"" if self.command == "HEAD" else _ERROR.format(code).encode()
        self._send(status, [("Content-Type", "application/xml")], content)

    def act_after(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """The store does it, and the answer says that it failed."""
        self._upstream(body)
        self.act_status(asked, fault, body)

    def act_silent(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        time.sleep(SILENT_SECONDS)
        self._reset()

    def act_slow(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        time.sleep(SLOW_SECONDS)
        self._send(*self._upstream(body))

    def act_reset(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        self._reset()

    def act_lost(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """The store does it, and its answer is lost."""
        self._upstream(body)
        self._reset()

    def act_cut(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """Half of the answer, then the end of the connection."""
        status, headers, content = self._upstream(body)
        self._send(status, headers, content[: len(content) // 2], len(content))
        self.wfile.flush()
        self.close_connection = True

    def act_short(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """Half of what was asked for, announced as if it were all."""
        status, headers, content = self._upstream(body)
        self._send(status, headers, content[: len(content) // 2])

    def act_long(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """More bytes than announced: the next answer on this connection begins with them."""
        status, headers, content = self._upstream(body)
        self._send(status, headers, content + b"\0" * 64, len(content))

    def act_stale(self, asked: Asked, fault: StoreFault, body: bytes) -> None:
        """What this list was the first time."""
        self._send(*self.server.proxy.stale_list(asked.path))


def asked_of(method: str, path: str, headers: Mapping[str, str]) -> Asked:
    """What kind of request it is."""
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    if method == "PUT":
        what = "upload" if "partNumber" in query else "put"
        what = "copy" if "x-amz-copy-source" in {name.lower() for name in headers} else what
    elif method == "POST":
        what = "begin" if "uploads" in query else "complete" if "uploadId" in query else "post"
    elif method == "GET":
        what = "list" if "list-type" in query else "get" if parts.path.count("/") > 1 and not query else "ask"
    else:
        what = method.lower()
    return Asked(method, path, what)
