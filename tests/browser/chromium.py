"""Shows a video in headless Chromium: plays it to its end, then seeks to given times, and reads off what is shown.

The page and the file come from a server on loopback, to which the page posts its result. Knows nothing of the program.
"""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

_PAGE = Path(__file__).with_name("player.html")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_SECONDS = 600.0
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """played: media times, in seconds, of the frames that were presented until the end; sought: for each time that was
    sought, the mean luma (0 … 255) of each square of the picture, row by row; error: of the element, None for none."""

    duration: float
    size: tuple[int, int]
    ended_at: float
    played: list[float]
    corrupted: int
    sought: list[list[float]]
    error: str | None


def find_chromium() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def show(browser: str, video: Path, times: Sequence[float], side: int, profile: Path) -> Shown:
    """times: to seek to, in seconds; side: of a square, in pixels, which divides the picture; profile: an empty folder.

    Raises AssertionError with the browser's own words if the element gave an error event or nothing came.
    """
    with _server(video) as (port, results):
        plan = json.dumps({"url": f"/{video.name}", "times": list(times), "side": side})
        url = f"http://127.0.0.1:{port}/player.html?{urlencode({'plan': plan})}"
        with (profile / "log").open("wb") as log:
            process = subprocess.Popen(
                [browser, *_OPTIONS, f"--user-data-dir={profile}", url], stdout=log, stderr=subprocess.STDOUT
            )
            try:
                found = results.get(timeout=_PATIENCE_SECONDS)
            except queue.Empty:
                said = (profile / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"the page posted nothing in {_PATIENCE_SECONDS:.0f} s: {said}") from None
            finally:
                process.terminate()
                process.wait()
    assert "failure" not in found, found["failure"]
    return Shown(
        found["duration"], tuple(found["size"]), found["endedAt"], found["played"], found["corrupted"],
        found["sought"], found["error"],
    )  # fmt: skip


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser hangs up when it has enough; what matters comes back in the page's result."""


@contextmanager
def _server(video: Path) -> Iterator[tuple[int, "queue.Queue[dict[str, Any]]"]]:
    results: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/player.html"):
                self._send(_PAGE.read_bytes(), "text/html")
            elif self.path == f"/{video.name}":
                self._send(video.read_bytes(), "video/mp4")
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send(b"", "text/plain")

        def _send(self, body: bytes, kind: str) -> None:
            """All of it, or the range that was asked for, without which a browser does not seek."""
            asked = self.headers.get("Range")
            first, stop = 0, len(body)
            if asked is not None:
                start, _, end = asked.removeprefix("bytes=").partition("-")
                first, stop = int(start), min(int(end) + 1, stop) if end else stop
            self.send_response(200 if asked is None else 206)
            if asked is not None:
                self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{len(body)}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(stop - first))
            self.end_headers()
            self.wfile.write(body[first:stop])

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, results
    finally:
        server.shutdown()
        server.server_close()
