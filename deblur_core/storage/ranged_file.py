"""`RangedFile`: an object in a store, read like a file, a range at a time.

It knows no S3: whatever has `read_range` serves. A video is read from its start (headers), often from its end (the
index of an MP4), and then forward in one to four places at once (picture, sound, subtitles, where they are not
interleaved). So the file holds a few windows of the object. One that goes on where another ends is twice as long; one
after a jump starts small again. Windows leave by least recent use, so sound, read slowly, keeps its own while the
picture runs through many.

Memory: five windows of at most 4 MiB, and as much again as one of them while an answer is received: 24 MiB a file.
"""

import io
from collections import OrderedDict
from typing import TYPE_CHECKING

from deblur_core.errors import UnavailableError
from deblur_core.storage.read_failures import noted

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from deblur_core.storage.store import ObjectInfo, ObjectStore

BLOCK_BYTES = 256 * 1024
"""The length of a window after a jump; every window begins at a multiple of it."""

LONGEST_WINDOW_BYTES = 4 * 1024 * 1024
"""Where a request's latency is a small part of its time, and five still fit in memory beside a model."""

WINDOWS = 5


class RangedFile(io.RawIOBase):
    """A read-only seekable file over `store.read_range`, for one thread.

    store, info: the object; its ETag is pinned, so a changed object raises ObjectChangedError, and no read mixes two
        versions.
    request_count, fetched_bytes: what this file has asked of its store so far.
    """

    def __init__(self, store: "ObjectStore", info: "ObjectInfo") -> None:
        super().__init__()
        self.request_count = 0
        self.fetched_bytes = 0
        self._store = store
        self._info = info
        self._position = 0
        # First byte -> content, least recently used first.
        self._windows: OrderedDict[int, bytes] = OrderedDict()

    @property
    def name(self) -> str:
        """The object's full name; FFmpeg reads the container's likely format from its extension."""
        return f"{self._store.url}/{self._info.key}"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move without reading anything; beyond the end is allowed, as in any file."""
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size_bytes}
        if whence not in origins:
            raise ValueError(f"unknown whence {whence}")
        position = origins[whence] + offset
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill `buffer`, or as much of it as the object still has; returns the number of bytes."""
        if self.closed:
            raise ValueError("read of a closed file")
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._info.size_bytes)
        filled = 0
        while self._position < end:
            start = self._window_at(self._position, end)
            offset = self._position - start
            piece = memoryview(self._windows[start])[offset : offset + end - self._position]
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def close(self) -> None:
        self._windows.clear()
        super().close()

    def _window_at(self, position: int, wanted_end: int) -> int:
        """The first byte of a window that holds `position`, which is fetched unless it is here."""
        for start, content in self._windows.items():
            if start <= position < start + len(content):
                self._windows.move_to_end(start)
                return start
        start = position // BLOCK_BYTES * BLOCK_BYTES
        while len(self._windows) >= WINDOWS:
            self._windows.popitem(last=False)
        self._windows[start] = self._fetch(start, self._window_length(start, wanted_end))
        return start

    def _window_length(self, start: int, wanted_end: int) -> int:
        """How much to ask for from `start`: nothing that is here already, nothing beyond the end of the object."""
        before = next((len(content) for first, content in self._windows.items() if first + len(content) == start), 0)
        wanted = -(-(wanted_end - start) // BLOCK_BYTES) * BLOCK_BYTES
        length = min(max(2 * before, wanted, BLOCK_BYTES), LONGEST_WINDOW_BYTES)
        barriers = [first for first in self._windows if first > start]
        return min([start + length, self._info.size_bytes, *barriers]) - start

    def _fetch(self, start: int, length: int) -> bytes:
        with noted():
            data = self._store.read_range(self._info.key, start, length, etag=self._info.etag)
            self.request_count += 1
            self.fetched_bytes += len(data)
            if len(data) != length:
                came = f"{len(data)} bytes came for {length} asked at byte {start}"
                raise UnavailableError(f"{self.name}: {came}; run again")
        return data
