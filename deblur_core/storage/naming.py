"""How a finished file gets its name in a folder, and lasts there. Knows no store and no key."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_PARENT_ATTEMPTS = 20


class TakenError(Exception):
    """Another writer has given a file this name."""


def link(temporary: Path, path: Path) -> None:
    """Give the file a second name, which unlike a rename never replaces what is there."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        if path.is_dir():
            raise IsADirectoryError(error.errno, error.strerror, str(path)) from error
        raise TakenError from error
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        _create(temporary, path)


def _create(temporary: Path, path: Path) -> None:
    """What a filesystem without hard links (exFAT, some network shares) has instead: one process makes the file.

    Not atomic: for a moment a reader may see it empty. Only for the small objects of `put_if_absent`.
    """
    try:
        with path.open("xb") as file:
            file.write(temporary.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise TakenError from error


def in_made_folder(folder: Path, act: Callable[[], Result]) -> Result:
    """Do what needs `folder`, which a delete in another process may remove while or as soon as it is made."""
    for attempt in range(_PARENT_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return act()
        except (FileNotFoundError, FileExistsError):
            if attempt == _PARENT_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def flush_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # what was renamed has been deleted since, and its folder with it
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_written(partial: Path) -> float:
    """Of a file, or of the youngest in a folder of files, in Unix time."""
    inside = partial.iterdir() if partial.is_dir() else ()
    return max(each.lstat().st_mtime for each in (partial, *inside))
