"""Where symbolic links lead, and what to say of those that lead nowhere."""

from pathlib import Path

from deblur_core.errors import StorageError


def resolved(path: Path) -> Path:
    """The place that `path` leads to, which need not exist. Raises StorageError for links that lead in a circle."""
    try:
        return path.resolve()
    except (RuntimeError, OSError) as error:  # Python before 3.13 says RuntimeError
        raise StorageError(f"{path} leads through symbolic links in a circle; name the place itself") from error
