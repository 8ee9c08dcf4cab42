"""Ray for the time of a run: started here and ended again, or a cluster joined and left. Knows no video."""

import atexit
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from deblur_core.errors import RestoreArchiveError, UsageError, WorkersLostError
from deblur_core.storage.scratch import remove_abandoned_scratch
from flows.cluster_head import ClusterHead, OwnScheduler
from flows.quiet import prepare_environment, prepare_local_ray

NAMESPACE = "restore-archive"
_OBJECT_STORE_BYTES = 128 << 20  # references travel, never frames
_ANSWER_SECONDS = 5.0
_STARTS = 3
_END_SECONDS = 20.0  # Prefect kills a flow that has not ended 30 s after it was asked to


_LOOK_SECONDS = 1.0
_NEEDED = {"raylet": "scheduler (raylet)", "gcs_server": "control store (gcs_server)"}


class RaySession:
    """Ray as long as it lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: WorkersLostError | None = None
        self._tell: list[Callable[[WorkersLostError], object]] = []

    @property
    def is_lost(self) -> bool:
        """Whether it has ended by itself."""
        return self._lost is not None

    def when_lost(self, tell: Callable[[WorkersLostError], object]) -> None:
        """`tell` is called, from another thread, when Ray ends under the run; at once where it has already."""
        with self._lock:
            self._tell.append(tell)
            lost = self._lost
        if lost is not None:
            tell(lost)

    def lose(self, error: WorkersLostError) -> None:
        """It has ended."""
        with self._lock:
            self._lost = error
            tell = list(self._tell)
        for each in tell:
            each(error)


@contextmanager
def ray_session(address: str) -> Iterator[RaySession]:
    """Makes this process a Ray driver; on the way out ends what it started, and only that.

    All in one other thread. In the main thread `ray.init` would put its own handler on SIGTERM, and Prefect's
    cancellation would become a crash, or hang while Ray starts. And what Ray starts dies with the thread that started
    it, so that one thread has to live as long as the session. Raises UsageError when the cluster cannot be joined,
    RestoreArchiveError when Ray does not start here.
    """
    prepare_environment(embedded_server=False)  # a Prefect worker runs the flow without the command line
    if address == "local":
        prepare_local_ray()
    _check_answers(address)
    started: Future[None] = Future()
    ended = threading.Event()
    session = RaySession()
    thread = threading.Thread(target=_live, args=(address, session, started, ended), name="ray", daemon=True)
    thread.start()
    try:
        started.result()
        _hear_sigterm()
        yield session
    finally:
        ended.set()
        thread.join(_END_SECONDS)
        remove_abandoned_scratch()  # of workers that ended in the middle of a call


def _hear_sigterm() -> None:
    """Puts the handler back that Python knows. Ray's native one would call it, too, but only after lines of its own,
    and abort the process 3 s later, in the middle of its tidying up."""
    known = signal.getsignal(signal.SIGTERM)
    if known is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, known)


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes, and say so in many lines."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise UsageError(f"Ray at {address!r} does not answer ({error}): start it, or use 'local'") from error


def _live(address: str, session: RaySession, started: "Future[None]", ended: threading.Event) -> None:
    try:
        _init(address)
        look = _gone if address == "local" else _joined()
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for it
        started.set_exception(error)
        return
    started.set_result(None)
    while not ended.wait(_LOOK_SECONDS):
        if not session.is_lost and (gone := look()):
            session.lose(gone)
    import ray

    if session.is_lost:
        _leave()
    else:
        ray.shutdown()


def _gone() -> WorkersLostError | None:
    """That something has ended which Ray cannot be without, of what was started here.

    Ray itself would wait for its scheduler for ever, and for its control store for a minute, and then end this process.
    """
    from ray._private import worker

    node = worker._global_node
    started: dict[str, Any] = node.all_processes if node is not None else {}
    for kind, name in _NEEDED.items():
        if any(each.process.poll() is not None for each in started.get(kind, ())):
            return WorkersLostError(
                f"Ray's {name} has ended under the run: what was done is kept, run again to continue"
            )
    return None


def _joined() -> Callable[[], WorkersLostError | None]:
    """The same of a cluster that was joined."""
    import ray
    from ray._private import worker

    node: Any = worker._global_node
    head, own = ClusterHead(ray.get_runtime_context().gcs_address), OwnScheduler(node.raylet_socket_name)
    return lambda: own.gone() or head.gone()


def _leave() -> None:
    """Ends what is left of a Ray that is gone, without asking it for anything, now or at this process's end."""
    import ray
    from ray._private import worker

    atexit.unregister(ray.shutdown)
    atexit.unregister(worker.shutdown)
    atexit.register(_end_at_once)
    if worker._global_node is not None:
        worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)


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


def _end_at_once() -> None:
    """Ray's native threads, never shut down, would crash the process on its way out; all it had to say is said."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
