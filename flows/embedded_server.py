"""Prefect's server for the time of one command: on loopback, in a process of its own.

Ctrl-C in a terminal goes to the whole process group. A server that it ended would keep the flow, which wants to report
its own end, waiting for more than a minute. So this one is deaf to SIGINT and SIGTERM and ends when the command does,
however the command ends. Knows no flow.
"""

import asyncio
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deblur_core.errors import RestoreArchiveError

_START_SECONDS = 600.0  # on a machine that has hardly any time for it; one that dies is noticed at once
_OWN_SETTINGS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "0",  # nothing here uses them, and two servers at once fail at it
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


@contextmanager
def embedded_server() -> Iterator[None]:
    """Starts a server and names it in PREFECT_API_URL, unless one is named there already; Prefect is imported inside.

    Raises RestoreArchiveError when it does not answer.
    """
    if "PREFECT_API_URL" in os.environ:
        yield
        return
    import httpx

    # Others on this machine reach the port, too.
    auth = f"restore-archive:{secrets.token_hex(32)}"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.embedded_server", str(listening.fileno()), str(os.getpid())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_OWN_SETTINGS, "PREFECT_SERVER_API_AUTH_STRING": auth},
        )
    ours = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": auth}
    before = {name: os.environ[name] for name in ours if name in os.environ}
    os.environ.update(ours)
    try:
        import prefect  # noqa: F401  (takes as long as the server does: both at once)

        try:
            httpx.get(f"{url}/health", timeout=_START_SECONDS, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            advice = "try `prefect server start` and set PREFECT_API_URL"
            raise RestoreArchiveError(f"Prefect's embedded server does not start ({error}): {advice}") from error
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)
        process.kill()
        process.wait()


def serve(descriptor: int, parent: int) -> None:
    """Serves on a listening socket until `parent`, the process that started this one, is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _make_database()
    import uvicorn

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


def _make_database() -> None:
    """Makes or migrates the database that all these servers share, one server at a time: two at once fail."""
    from prefect.server.database import provide_database_interface
    from prefect.settings import PREFECT_HOME

    with (PREFECT_HOME.value() / "migration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asyncio.run(provide_database_interface().create_db())


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
