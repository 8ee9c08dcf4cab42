"""Whether a result can be put where it is asked for, found out before hours go into making it. Knows no result."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from deblur_core.errors import StorageError, UsageError


def check_file_place(path: Path) -> None:
    """A trial that a file can be written at `path`; an old one there stays as it is, a new one is taken away again.

    Raises UsageError when it cannot.
    """
    with _refused(path):
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a file")
        if path.is_file():
            path.open("ab").close()
        elif not path.exists():
            path.open("xb").close()
            path.unlink()


def check_folder_place(path: Path) -> None:
    """A trial that files can be written into the folder `path`, which need not be there yet; nothing of it stays.

    Raises UsageError when they cannot.
    """
    with _refused(path):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file: name a folder")
        missing = missing_folders(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=path).close()
        finally:
            remove_empty(missing)


def missing_folders(path: Path) -> list[Path]:
    """Which of `path` and the folders that it lies in are not there yet, the innermost first."""
    return [place for place in (path, *path.parents) if not place.exists()]


def remove_empty(folders: list[Path]) -> None:
    """Removes those of the folders that are there and empty; the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def writing_explained(out: Path) -> Iterator[None]:
    """What the system refuses in the middle of the work becomes one line. Raises StorageError."""
    try:
        yield
    except OSError as error:
        where = error.filename or out
        raise StorageError(f"{where} cannot be read or written: {error.strerror or error}") from error


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"the result cannot be written to {path} ({why}): choose another place") from error
