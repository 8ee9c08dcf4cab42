"""`FolderObjectStore`: a local folder as an object store.

An object is a regular file below the root, its key the path from there. It knows no network: a mounted share serves if
it has atomic rename and steady inode numbers.

- ETag: size, modification time in nanoseconds and inode number. It costs one `stat` and never reads the file. A program
  that rewrites a file in place and then sets the old time back goes unnoticed.
- Writing: into `_restore/tmp/` under the root, flushed to the disk, then renamed into place. The last writer takes that
  folder away. A killed writer leaves a file there, which is never listed; `clean_up_partial` removes it. Scratch
  folders lie there too, so that what is made in them is moved into place, not copied.
- put_if_absent gives a finished file a second name, which never replaces one. Without hard links it is not atomic.
- Symbolic links: one to a file inside the root is an object; folders behind links are not listed; nothing outside the
  root is read or written, whatever a link says.
- A file whose name is not UTF-8 is listed with the odd bytes escaped, so that it is not lost in silence; reading it
  raises ObjectNotFoundError, and the message says to rename it.
"""

import io
import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from deblur_core.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
)
from deblur_core.storage import spelling
from deblur_core.storage.keys import TEMPORARY_PREFIX, check_key, check_prefix
from deblur_core.storage.links import resolved
from deblur_core.storage.naming import TakenError, flush_folder, in_made_folder, last_written, link
from deblur_core.storage.pinned_file import COPY_BYTES, PinnedFile, copy_content
from deblur_core.storage.scratch import scratch_prefix
from deblur_core.storage.store import (
    ObjectInfo,
    ObjectStore,
    changed,
    check_range,
    refuse_everything,
)
from deblur_core.storage.system_errors import from_system, no_room


class FolderObjectStore(ObjectStore):
    """The files below `root`. The folder need not exist before the first put."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)

    def list(self, prefix: str = "", passed_over: Callable[[str], object] | None = None) -> Iterator[ObjectInfo]:
        start = check_prefix(prefix).rpartition("/")[0]
        folder = self.root / start
        with self._explained("list", folder):
            if not self.root.is_dir():
                raise BucketNotFoundError(f"{self.url} is not a folder; create it or name another")
            root = resolved(self.root)
            if resolved(folder) == root / start:
                yield from self._walk(folder, f"{start}/" if start else "", prefix, root, passed_over)

    def _walk(
        self, folder: Path, above: str, prefix: str, root: Path, passed_over: Callable[[str], object] | None
    ) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(folder) as found:
                entries = [(above + _text(entry.name), entry) for entry in found]
        except (FileNotFoundError, NotADirectoryError):
            return  # deleted since its name was read
        # A folder sorts as its keys do, with the '/' that follows its name.
        ordered = sorted((f"{key}/" if e.is_dir(follow_symlinks=False) else key, e) for key, e in entries)
        for key, entry in ordered:
            if not (key.startswith(prefix) or prefix.startswith(key)) or key == TEMPORARY_PREFIX:
                continue
            if key.endswith("/"):
                yield from self._walk(folder / entry.name, key, prefix, root, passed_over)
                continue
            status = None
            if not entry.is_symlink() or _leads_into(root, Path(entry.path)):
                with suppress(FileNotFoundError):
                    status = entry.stat()
            if status is not None and stat.S_ISREG(status.st_mode):
                yield _info(key, status)
            elif passed_over is not None and entry.is_symlink():
                passed_over(key)

    def head(self, key: str) -> ObjectInfo:
        return self._find(key)[1]

    def read(self, key: str) -> bytes:
        path, _ = self._find(key)
        with self._explained("read", path):
            return path.read_bytes()

    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        check_range(start, length)
        path, _ = self._find(key)
        with self._explained("read", path), path.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), length, start)
            while 0 < len(data) < length and (more := os.pread(file.fileno(), length - len(data), start + len(data))):
                data += more
            # After the read, so that a change in the middle of it shows too.
            if etag is not None and _etag(os.fstat(file.fileno())) != etag:
                raise changed(self.url, key)
            return data

    def open(self, key: str, info: ObjectInfo | None = None) -> BinaryIO:
        path, now = self._find(key)
        wanted = info or now

        def check(status: os.stat_result) -> None:
            if _etag(status) != wanted.etag:
                raise changed(self.url, key)

        with self._explained("read", path):
            return io.BufferedReader(PinnedFile(path, check, partial(from_system, "read", path)), COPY_BYTES)

    def put(self, key: str, data: bytes) -> ObjectInfo:
        return self._write(key, lambda file: file.write(data))

    def put_file(self, key: str, path: Path) -> ObjectInfo:
        if path.parent.parent == self.root / TEMPORARY_PREFIX:
            return self._take(key, path)
        try:
            with path.open("rb") as source:
                return self._write(key, lambda file: copy_content(source, file))
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        above = self.root / TEMPORARY_PREFIX
        self._refuse_outside(above)
        with self._explained("write to", above):
            folder = Path(in_made_folder(above, lambda: tempfile.mkdtemp(prefix=scratch_prefix(), dir=above)))
        try:
            yield folder
        except Exception as error:
            if no_room(error) and not isinstance(error, StorageFullError):
                raise StorageFullError(f"no room left in {self.url}: free space there and run again") from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._remove_empty_folders(above)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self.exists(key):
            return False
        try:
            self._write(key, lambda file: file.write(data), publish=link)
        except TakenError:
            return False
        return True

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._explained("delete", path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            self._remove_empty_folders(path.parent)

    def delete_prefix(self, prefix: str) -> int:
        refuse_everything(prefix, self.url)
        count = 0
        with suppress(BucketNotFoundError):
            for info in self.list(prefix):
                self.delete(info.key)
                count += 1
        return count

    def copy_from(self, source: ObjectStore, key: str, to_key: str, info: ObjectInfo | None = None) -> ObjectInfo:
        with source.open(key, info) as content:
            return self._write(to_key, lambda file: copy_content(content, file))

    def check_writable(self) -> None:
        folder = self.root / TEMPORARY_PREFIX
        made: list[Path] = []
        try:
            with self._explained("write to", self.root):
                made += [place for place in (folder, *folder.parents) if not place.exists()]
                path, file = self._create_temporary()
                file.close()
                path.unlink()
        finally:
            for place in made:
                with suppress(OSError):
                    place.rmdir()

    def clean_up_partial(self, older_than_seconds: float) -> int:
        folder = self.root / TEMPORARY_PREFIX
        count = 0
        with self._explained("clean up", folder):
            partials: list[Path] = []
            with suppress(FileNotFoundError, NotADirectoryError):  # the last writer takes the folder away
                partials += folder.iterdir()
            for partial in partials:
                with suppress(FileNotFoundError):
                    if last_written(partial) <= time.time() - older_than_seconds:
                        shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
                        count += 1
        self._remove_empty_folders(folder)
        return count

    def _path(self, key: str) -> Path:
        """Where the object of this key lies or would lie; its folder is inside the root, whatever links say."""
        path = self.root / check_key(key)
        self._refuse_outside(path.parent)
        return path

    def _refuse_outside(self, path: Path) -> None:
        if not resolved(path).is_relative_to(resolved(self.root)):
            raise StorageError(f"{path} leads out of {self.url} through a symbolic link; use the place it leads to")

    def _find(self, key: str) -> tuple[Path, ObjectInfo]:
        path = self._path(key)
        with self._explained("read", path):
            if path.is_symlink():
                self._refuse_outside(path)
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                status = None
            if status is None or not stat.S_ISREG(status.st_mode):
                hint = "; if its name is not UTF-8, rename the file" if "\\x" in key else ""
                raise ObjectNotFoundError(f"{self.url} has no object {key}{hint}")
            return path, _info(key, status)

    def _write(
        self, key: str, fill: Callable[[BinaryIO], object], publish: Callable[[Path, Path], None] = os.replace
    ) -> ObjectInfo:
        """Fill a temporary file, put it on the disk, and only then give it its name."""
        path = self._path(key)
        with self._explained("write", path):
            temporary, file = self._create_temporary()
            try:
                with file:
                    fill(file)
                    file.flush()
                    info = _flushed(key, file)
                self._name(temporary, path, publish)
            finally:
                temporary.unlink(missing_ok=True)
                self._remove_empty_folders(temporary.parent)
            return info

    def _take(self, key: str, scratch: Path) -> ObjectInfo:
        """What lies on this filesystem already needs no copy."""
        path = self._path(key)
        with self._explained("write", path):
            with scratch.open("r+b") as file:
                info = _flushed(key, file)
            self._name(scratch, path, os.replace)
            return info

    def _name(self, temporary: Path, path: Path, publish: Callable[[Path, Path], None]) -> None:
        self._refuse_other_spelling(path, temporary)
        in_made_folder(path.parent, lambda: publish(temporary, path))
        flush_folder(path.parent)

    def _refuse_other_spelling(self, path: Path, temporary: Path) -> None:
        if spelling.ignores_case(temporary):
            other = spelling.kept_as(path, self.root)
            if other is not None:
                raise StorageError(
                    f"cannot write {path}: the file system keeps {other} under that name, which differs in upper and "
                    "lower case alone; rename one, or choose another destination"
                )

    def _create_temporary(self) -> tuple[Path, BinaryIO]:
        path = self.root / TEMPORARY_PREFIX / f".partial-{uuid.uuid4().hex}"
        self._refuse_outside(path.parent)
        return path, in_made_folder(path.parent, lambda: path.open("xb"))

    def _remove_empty_folders(self, folder: Path) -> None:
        """Object stores have no empty folders, so the ones that nothing is left in go too, up to the root."""
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    @contextmanager
    def _explained(self, doing: str, path: Path) -> Iterator[None]:
        """Turn what the operating system says into one of this program's errors."""
        try:
            yield
        except OSError as error:
            raise from_system(doing, path, error) from error


def _flushed(key: str, file: BinaryIO) -> ObjectInfo:
    """The facts of a file whose content is on the disk."""
    os.fsync(file.fileno())
    return _info(key, os.fstat(file.fileno()))


def _etag(status: os.stat_result) -> str:
    return f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, status.st_size, _etag(status), status.st_mtime)


def _leads_into(root: Path, link: Path) -> bool:
    with suppress(StorageError):
        return resolved(link).is_relative_to(root)
    return False  # in a circle


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
