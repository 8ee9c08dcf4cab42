"""Ray for the time of a run: started here and ended again, or a cluster joined and left. Knows no video."""

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from deblur_core.errors import RestoreArchiveError, UsageError
from flows.quiet import prepare_environment, secure_local_ray

NAMESPACE = "restore-archive"
_OBJECT_STORE_BYTES = 128 << 20  # references travel, never frames
_ANSWER_SECONDS = 5.0
_STARTS = 3
_END_SECONDS = 20.0  # Prefect kills a flow that has not ended 30 s after it was asked to


@contextmanager
def ray_session(address: str) -> Iterator[None]:
    """Makes this process a Ray driver; on the way out ends what it started, and only that.

    All in one other thread. In the main thread `ray.init` would put its own handler on SIGTERM, and Prefect's
    cancellation would become a crash, or hang while Ray starts. And what Ray starts dies with the thread that started
    it, so that one thread has to live as long as the session. Raises UsageError when the cluster cannot be joined,
    RestoreArchiveError when Ray does not start here.
    """
    prepare_environment(embedded_server=False)  # a Prefect worker runs the flow without the command line
    if address == "local":
        secure_local_ray()
    _check_answers(address)
    started: Future[None] = Future()
    ended = threading.Event()
    thread = threading.Thread(target=_live, args=(address, started, ended), name="ray", daemon=True)
    thread.start()
    try:
        started.result()
        yield
    finally:
        ended.set()
        thread.join(_END_SECONDS)


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes, and say so in many lines."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise UsageError(f"Ray at {address!r} does not answer ({error}): start it, or use 'local'") from error


def _live(address: str, started: "Future[None]", ended: threading.Event) -> None:
    try:
        _init(address)
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for it
        started.set_exception(error)
        return
    started.set_result(None)
    ended.wait()
    import ray

    ray.shutdown()


def _init(address: str) -> None:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)  # it warns that it leaves SIGTERM alone
    local: dict[str, Any] = {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    for left in reversed(range(_STARTS if address == "local" else 1)):
        try:
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if address == "local" else {}),
            )
            return
        except (ConnectionError, RuntimeError, ValueError) as error:
            why = _first_line(error)
            raise UsageError(f"Ray at {address!r} cannot be reached ({why}): start it, or use 'local'") from error
        except Exception as error:  # Ray has no class for a machine too busy to start it in 30 s
            ray.shutdown()
            if not left:
                why = _first_line(error)
                raise RestoreArchiveError(
                    f"Ray does not start on this machine ({why}): it is too busy or short of memory; run again"
                ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
