"""Looks through the boxes of an MP4 or MOV file before FFmpeg does: for tracks that lie in other files, for tables that
announce more than the file can hold, and for headers that unpack to far more than they are.

FFmpeg takes memory for what a table announces, 36 bytes for each sample, before it reads any. This reads headers of
tables and, of those that count in runs, their runs; it knows no samples. ISO/IEC 14496-12; Apple's QuickTime File
Format.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from deblur_core.errors import DamagedVideoError, DeclinedVideoError, LimitError, NotAVideoError

_FAMILY = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
_FOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"moof", b"traf", b"mvex"}
# Bytes of an entry of each table; all begin with version, flags and the number of entries.
_TABLES = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8, b"stss": 4}
_COUNTED_IN_RUNS = {b"stts", b"ctts"}
_RUNS_READ_BYTES = 64 << 20
_MOST_HEADER_BYTES = 256 << 20
_DEEPEST = 8
_SELF_CONTAINED = 1
_TRUN_FIRST_OFFSET, _TRUN_FIRST_FLAGS = 0x1, 0x4
_TRUN_PER_SAMPLE = (0x100, 0x200, 0x400, 0x800)


@dataclass(frozen=True)
class _Box:
    """kind: four characters; start, stop: of what it holds, in bytes from the start of the file."""

    kind: bytes
    start: int
    stop: int


def check_boxes(file: BinaryIO, name: str, every_fragment: bool = False) -> None:
    """Looks at the header of the whole file and at its first fragment, or at every one; at nothing in other files.

    file: seekable; is left anywhere. Raises DeclinedVideoError, LimitError, DamagedVideoError, or NotAVideoError for a
    still picture.
    """
    file.seek(0)
    if file.read(8)[4:] not in _FAMILY:
        return
    size_bytes = file.seek(0, io.SEEK_END)
    look = _Look(file, size_bytes, name)
    kinds = set()
    for box in _boxes(file, 0, size_bytes):
        if box.kind == b"moov" or (box.kind == b"moof" and (every_fragment or b"moof" not in kinds)):
            look.into(box, 0)
        kinds.add(box.kind)
        if not every_fragment and {b"moov", b"mdat"} <= kinds:
            break
    if b"meta" in kinds and not kinds & {b"moov", b"moof"}:
        raise NotAVideoError(f"{name}: is a still picture (HEIF or AVIF), not a video")


class _Look:
    def __init__(self, file: BinaryIO, size_bytes: int, name: str) -> None:
        self._file, self._size_bytes, self._name = file, size_bytes, name
        self._is_sound = self._is_by_chunk = False

    def into(self, parent: _Box, depth: int) -> None:
        for box in _boxes(self._file, parent.start, parent.stop):
            if box.kind == b"trak":
                self._is_sound = self._is_by_chunk = False
            if box.kind in _FOLDERS and depth < _DEEPEST:
                self.into(box, depth + 1)
            elif box.kind == b"cmov" and depth < _DEEPEST:
                self._unpack(box, depth + 1)
            elif box.kind == b"smhd":
                self._is_sound = True
            elif box.kind == b"dref":
                self._refuse_references(box)
            elif box.kind in _TABLES:
                self._check_table(box)
            elif box.kind in (b"stsz", b"stz2"):
                self._check_sizes(box)
            elif box.kind == b"trun":
                self._check_run(box)

    def _read(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        return self._file.read(count)

    def _numbers(self, box: _Box, count: int, at: int = 0) -> tuple[int, ...]:
        """`count` unsigned 32-bit numbers from byte `at` of the box on; missing ones are 0."""
        data = self._read(box.start + at, min(4 * count, max(box.stop - box.start - at, 0)))
        return struct.unpack(f">{count}I", data.ljust(4 * count, b"\0"))

    def _refuse_references(self, box: _Box) -> None:
        for entry in _boxes(self._file, box.start + 8, box.stop):
            (flags,) = self._numbers(entry, 1)
            if not flags & _SELF_CONTAINED and entry.stop - entry.start > 4:
                raise DeclinedVideoError(
                    f"{self._name}: a track of it lies in another file, and no other file is ever opened for it; make "
                    "it self-contained first"
                )

    def _check_table(self, box: _Box) -> None:
        _, count = self._numbers(box, 2)
        self._check_fits(box, 8 + count * _TABLES[box.kind])
        if box.kind in _COUNTED_IN_RUNS:
            runs = np.frombuffer(self._read(box.start + 8, min(8 * count, _RUNS_READ_BYTES)), ">u4").reshape(-1, 2)
            # Old sound counts its single samples, thousands in a chunk; FFmpeg then keeps a row for each chunk alone.
            if box.kind == b"stts" and self._is_sound and runs[:, 1].tolist() == [1]:
                self._is_by_chunk = True
            elif not self._is_by_chunk:
                self._check_samples(int(runs[:, 0].sum(dtype=np.uint64)))

    def _check_sizes(self, box: _Box) -> None:
        _, size, count = self._numbers(box, 3)
        if box.kind == b"stsz" and size:
            if not self._is_by_chunk:
                self._check_samples(count)
        else:
            self._check_fits(box, 12 + count * (32 if box.kind == b"stsz" else size & 0xFF) // 8)

    def _check_run(self, box: _Box) -> None:
        flags, count = self._numbers(box, 2)
        first = 4 * bool(flags & _TRUN_FIRST_OFFSET) + 4 * bool(flags & _TRUN_FIRST_FLAGS)
        self._check_fits(box, 8 + first + count * 4 * sum(bool(flags & each) for each in _TRUN_PER_SAMPLE))
        self._check_samples(count)

    def _check_fits(self, box: _Box, wanted_bytes: int) -> None:
        if wanted_bytes > box.stop - box.start:
            raise DamagedVideoError(
                f"{self._name}: its table {box.kind.decode()} announces more entries than it holds; fetch it again"
            )

    def _check_samples(self, count: int) -> None:
        if count > self._size_bytes:
            raise DamagedVideoError(
                f"{self._name}: announces {count} samples in {self._size_bytes} bytes; it is cut short, or was made to "
                "exhaust who reads it"
            )

    def _unpack(self, box: _Box, depth: int) -> None:
        """A header packed with zlib, as QuickTime wrote it before 2000."""
        for part in _boxes(self._file, box.start, box.stop):
            if part.kind != b"cmvd":
                continue
            (announced,) = self._numbers(part, 1)
            if announced > _MOST_HEADER_BYTES or part.stop - part.start > _MOST_HEADER_BYTES:
                raise LimitError(f"{self._name}: its header unpacks to {announced} bytes, more than a file may have")
            try:
                packed = self._read(part.start + 4, part.stop - part.start - 4)
                unpacked = zlib.decompressobj().decompress(packed, announced + 1)
            except zlib.error as error:
                raise DamagedVideoError(
                    f"{self._name}: its header does not unpack ({error}); fetch it again"
                ) from error
            inner = _Look(io.BytesIO(unpacked), self._size_bytes, self._name)
            inner.into(_Box(b"cmov", 0, len(unpacked)), depth)


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[_Box]:
    """The boxes between two places of the file; ends at one that is none."""
    while start + 8 <= stop:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind, lead = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1 and len(head) == 16:
            size, lead = int.from_bytes(head[8:], "big"), 16
        elif size == 0:
            size = stop - start
        if size < lead:
            return
        yield _Box(kind, start + lead, min(start + size, stop))
        start += size
