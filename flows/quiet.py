"""Sets what Ray and Prefect read from the environment, before either is imported. Knows nothing else.

Nothing here overrides what the user has set.
"""

import os
import secrets
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


def secure_local_ray() -> None:
    """Gives a local Ray a random token of its own: other users of this machine cannot reach its workers."""
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def state_folder() -> Path:
    """Where this program keeps what it may lose: XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "restore-archive"
