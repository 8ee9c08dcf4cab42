"""Ray for the time of a run: started here and ended again, or a cluster joined and left. Knows no video."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from deblur_core.errors import UsageError
from flows.quiet import secure_local_ray

NAMESPACE = "restore-archive"
_OBJECT_STORE_BYTES = 128 << 20  # references travel, never frames


@contextmanager
def ray_session(address: str) -> Iterator[None]:
    """Makes this process a Ray driver; on the way out ends what it started, and only that.

    All in one other thread. In the main thread `ray.init` would put its own handler on SIGTERM, and Prefect's
    cancellation would become a crash, or hang while Ray starts. And what Ray starts dies with the thread that started
    it, so that one thread has to live as long as the session. Raises UsageError when the cluster cannot be joined.
    """
    if address == "local":
        secure_local_ray()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ray") as thread:
        try:
            thread.submit(_init, address).result()
            yield
        finally:
            thread.submit(_shutdown).result()


def _init(address: str) -> None:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)  # it warns that it leaves SIGTERM alone
    local: dict[str, Any] = {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(local if address == "local" else {}),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise UsageError(f"Ray at {address!r} cannot be reached ({first_line}): start it, or use 'local'") from error


def _shutdown() -> None:
    import ray

    ray.shutdown()
