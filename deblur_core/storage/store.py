"""`ObjectStore`: the few things this program asks of a place that holds videos, the same for a folder and for S3.

It knows no medium and no video. What every store promises, and `tests/deblur_core/storage` proves for each of them:

- an object appears whole or not at all, however its writer ends;
- `list` gives keys in the binary order of their UTF-8, which is S3's own order, so two listings can be merged;
- a read can be pinned to an ETag: two versions of an object are never mixed;
- a store can be pickled and sent to another process; connections are made there, at first use, from that process's own
  credentials; its methods may be called from many threads;
- every failure is one of the StorageError classes, in one line and without secrets.
"""

import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deblur_core.errors import ObjectChangedError, ObjectNotFoundError, StorageError
from deblur_core.storage.scratch import temporary_folder
from deblur_core.storage.system_errors import from_system


@dataclass(frozen=True)
class ObjectInfo:
    """One version of one object.

    key: relative to its store, '/' between segments.
    size_bytes: length of the content.
    etag: an opaque text that differs whenever the content may differ; compare it only with ETags of the same store.
    modified_seconds: when this version was written, in Unix time, by the clock of the store.
    """

    key: str
    size_bytes: int
    etag: str
    modified_seconds: float


class ObjectStore(ABC):
    """A place that holds objects under keys (`keys.check_key` has their rules; a bad one raises StorageError).

    url: what a person would type to get here, such as `/archive` or `s3://bucket/prefix`.
    """

    url: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @abstractmethod
    def list(self, prefix: str = "", passed_over: Callable[[str], object] | None = None) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in the binary order of the keys' UTF-8, as a stream.

        passed_over: is told the key of each symbolic link that is no object, for it leads out, nowhere or to a folder.

        `prefix` is plain text as in S3: "a/b" finds "a/bc" too; end it with '/' to mean a folder. Errors are raised
        when the stream is read: BucketNotFoundError where the bucket or the folder does not exist, AccessDeniedError.
        """

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """The object as it is now, without reading it. Raises ObjectNotFoundError."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""
        try:
            self.head(key)
        except ObjectNotFoundError:
            return False
        return True

    @abstractmethod
    def read(self, key: str) -> bytes:
        """The whole object, for small ones. Raises ObjectNotFoundError."""

    @abstractmethod
    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        """`length` bytes from byte `start`, fewer where the object ends before, none beyond its end.

        Raises ObjectNotFoundError, and ObjectChangedError if `etag` is given and the object has another one.
        """

    @abstractmethod
    def open(self, key: str, info: ObjectInfo | None = None) -> BinaryIO:
        """The object as a seekable file for one thread, such as PyAV wants it; the caller closes it.

        It is pinned to the version `info`, or without it to the one found now: where the object changes, reading raises
        ObjectChangedError. Raises ObjectNotFoundError.
        """

    def download(self, key: str, path: Path) -> None:
        """Write the object to the local file `path`, whole or not at all. Raises ObjectNotFoundError."""
        partial = path.with_name(f".partial-{uuid.uuid4().hex}")
        with self.open(key) as source:
            try:
                with partial.open("xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                partial.replace(path)
            except OSError as error:
                raise from_system("write", path, error) from error
            finally:
                partial.unlink(missing_ok=True)

    @abstractmethod
    def put(self, key: str, data: bytes) -> ObjectInfo:
        """Write a small object, replacing one of the same key. Atomic."""

    @abstractmethod
    def put_file(self, key: str, path: Path) -> ObjectInfo:
        """Write the local file `path` as an object, replacing one of the same key. Atomic at any size.

        A file of this store's `scratch_folder` may be gone afterwards: it need not be there twice.
        """

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """An empty local folder for files on their way here, removed at the end with what is left in it."""
        with temporary_folder() as folder:
            yield Path(folder)

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a small object unless the key is taken; True if this call wrote it. Of many callers one wins."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the object; an absent one is fine."""

    @abstractmethod
    def delete_prefix(self, prefix: str) -> int:
        """Delete every object that `list(prefix)` gives, and return how many; the empty prefix is refused."""

    @abstractmethod
    def copy_from(self, source: "ObjectStore", key: str, to_key: str, info: ObjectInfo | None = None) -> ObjectInfo:
        """Copy `source`'s object `key` byte by byte to `to_key` here, streaming and atomic; returns the copy.

        `info` pins the version to copy; without it the one found now. Raises ObjectNotFoundError, ObjectChangedError.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Prove by writing that a put would succeed, leaving nothing behind; raises StorageError if it would fail."""

    @abstractmethod
    def clean_up_partial(self, older_than_seconds: float) -> int:
        """Remove what writers that were killed left unfinished, if older than this; returns how many were removed.

        Nothing of it was ever listed. Choose an age beyond the longest upload, such as a day, while others may write.
        """


def refuse_everything(prefix: str, url: str) -> None:
    """Raise StorageError for the empty prefix, which would delete the whole store."""
    if not prefix:
        raise StorageError(f"refused to delete everything in {url}; give a key prefix")


def check_range(start: int, length: int) -> None:
    """Raise ValueError for a range before the first byte or of negative length."""
    if start < 0 or length < 0:
        raise ValueError(f"a range must not be negative: start {start}, length {length}")


def changed(url: str, key: str) -> ObjectChangedError:
    """The error for an object that is no longer the version that was asked for."""
    return ObjectChangedError(f"{url}: {key} changed while it was in use; run again to take its new version")
