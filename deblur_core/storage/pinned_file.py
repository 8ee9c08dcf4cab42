"""`PinnedFile`: a local file that refuses to be read once it is another version; and the copy of one file to another.

It knows no store: the caller says what makes a version, and what to raise.
"""

import io
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from deblur_core.storage.read_failures import noted

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

COPY_BYTES = 1 << 20


class PinnedFile(io.FileIO):
    """A file opened for reading that calls `check` with its status after every read, also the one that finds the end.

    So what was read before a `check` that passes is of the version it stands for. One `fstat` a read, about 1 µs.
    `explain` makes the caller's error of an operating system's, such as of a disk that fails.
    """

    def __init__(
        self, path: Path, check: Callable[[os.stat_result], None], explain: Callable[[OSError], Exception]
    ) -> None:
        super().__init__(path, "rb")
        self._check, self._explain = check, explain

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        with noted():
            try:
                count = super().readinto(buffer) or 0
            except OSError as error:
                raise self._explain(error) from error
            self._check(os.fstat(self.fileno()))
        return count

    def readall(self) -> bytes:
        with noted():
            try:
                data = super().readall()
            except OSError as error:
                raise self._explain(error) from error
            self._check(os.fstat(self.fileno()))
        return data


def copy_content(source: BinaryIO, target: BinaryIO) -> None:
    """Copy from where `source` stands to its end, with nothing in the buffer of either.

    Between two files the kernel does it, without copying at all where the filesystem can share blocks (btrfs, xfs).
    """
    raw = getattr(source, "raw", source)
    if isinstance(raw, io.FileIO):
        with suppress(OSError):
            while os.copy_file_range(raw.fileno(), target.fileno(), 1 << 30):
                pass
    # The rest: everything, where the kernel could not; else only the read at the end, which checks the version.
    shutil.copyfileobj(source, target, COPY_BYTES)
