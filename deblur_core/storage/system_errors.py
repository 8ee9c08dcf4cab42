"""What the operating system's errors mean for an object: gone, forbidden, full, or something that may pass."""

import errno
from pathlib import Path

from deblur_core.errors import (
    AccessDeniedError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    UnavailableError,
)

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
# Of a disk or a mounted share that fails for a while, or of a machine that is short of something.
_PASSING = {
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED,
    errno.ENOTCONN, errno.EREMOTEIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
}  # fmt: skip


def from_system(doing: str, path: Path, error: OSError) -> StorageError:
    """This program's error for what happened while `doing` something (read, write, …) at `path`, in one line."""
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(f"cannot {doing} {path}: it is gone")
    if isinstance(error, (NotADirectoryError, IsADirectoryError, FileExistsError)):
        return StorageError(f"cannot {doing} {path}: a file and a folder have the same name; rename one")
    where, why = error.filename or path, error.strerror or error
    if error.errno in _FORBIDDEN:
        return AccessDeniedError(f"not allowed to {doing} {where}: {why}; change its rights or choose another place")
    if error.errno in _FULL:
        return StorageFullError(f"cannot {doing} {where}: {why}; free space there, then run again")
    if error.errno == errno.ELOOP:
        return StorageError(f"cannot {doing} {where}: its symbolic links lead in a circle; name the place itself")
    if error.errno == errno.ENAMETOOLONG:
        return StorageError(f"cannot {doing} {where}: {why}; shorten the name of the video or of a folder above it")
    if error.errno in _PASSING:
        return UnavailableError(f"cannot {doing} {where}: {why}; run again once the disk or the network is well")
    return StorageError(f"cannot {doing} {where}: {why}")


def no_room(error: BaseException) -> bool:
    """Whether a full disk is what an error, or one that it came from, is about."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        seen = seen.__cause__ or seen.__context__
    return False
