"""A read that failed inside a decoder is not forgotten.

FFmpeg reads an object's open file through callbacks. It may take an error of one of them for the end of the file, and
go on with what it has: the network's fault would look like a damaged video, and count as one for good. So files note
here what they could not read, and who uses them asks afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from deblur_core.errors import StorageError

_failures: ContextVar[list[StorageError] | None] = ContextVar("failures", default=None)


@contextmanager
def read_failures_told() -> Iterator[None]:
    """Whatever is made of a failed read of a file inside, in the same thread, its own StorageError is raised."""
    failures: list[StorageError] = []
    token = _failures.set(failures)
    try:
        yield
    except Exception as error:
        if failures and error is not failures[0]:
            raise failures[0] from error
        raise
    finally:
        _failures.reset(token)
    if failures:
        raise failures[0]


@contextmanager
def noted() -> Iterator[None]:
    """Around a file's reads: notes the StorageError that one ends in."""
    try:
        yield
    except StorageError as error:
        failures = _failures.get()
        if failures is not None:
            failures.append(error)
        raise
