"""Ray for the time of a run: started here and ended again, or a cluster joined and left. Knows no video."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deblur_core.errors import UsageError
from flows.quiet import secure_local_ray

NAMESPACE = "restore-archive"
_OBJECT_STORE_BYTES = 128 << 20  # references travel, never frames


@contextmanager
def ray_session(address: str) -> Iterator[None]:
    """Makes this process a Ray driver; on the way out ends what it started, and only that.

    `ray.init` puts its own handler on SIGTERM, which would turn Prefect's cancellation into a crash: the handler that
    was there is put back. Raises UsageError when the cluster cannot be joined.
    """
    if address == "local":
        secure_local_ray()
    import ray

    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if in_main_thread else None
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
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()
