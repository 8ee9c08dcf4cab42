"""Sets what Ray and Prefect read from the environment, before either is imported, and silences what chatters all the
same. Knows nothing else.

No variable that the user has set is overridden.
"""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def prepare_environment(embedded_server: bool) -> None:
    """No telemetry, no chatter; with `embedded_server` Prefect keeps its database in this program's own folder."""
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    if embedded_server and "PREFECT_API_URL" not in os.environ:
        defaults |= {
            "PREFECT_HOME": str(state_folder() / "prefect"),
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_CLI_COLORS": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if "PREFECT_HOME" in defaults:
        Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect's server does not make it


def prepare_local_ray() -> None:
    """Keeps other users of this machine from a local Ray's workers, and Ray from growing with every call of the night.

    A random token is all that opens it. What Ray would remember of each task for its dashboard, which a local session
    has not, is not collected: that is 4 KB a call in its control store, up to 100,000 calls. Its log monitor holds each
    file open that a dead worker has left, until so many are open. With one arena of the C library's for all threads
    a worker can give back what it freed (`workers.memory`): malloc_trim(3) leaves the top of any other as it is.
    """
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    os.environ.setdefault("RAY_LOG_MONITOR_MAX_OPEN_FILES", "16")
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Nothing reaches stderr meanwhile, not even from libraries in C that write to it on their own."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def state_folder() -> Path:
    """Where this program keeps what it may lose: XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "restore-archive"
