"""Writes a transport stream as its source is laid out: packets with or without the time of their arrival in front, and
tables of a disc or of a broadcast.

FFmpeg's muxer knows only two of the four: the tables of a disc with arrival times, those of a broadcast without. Its
tables of a disc lie at a fixed PID, which broadcasts use for their pictures, and call AAC private data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deblur_core.video.source import Source
from deblur_core.video.transport_tables import (
    PACKET_BYTES,
    PAT,
    PAT_PID,
    STAMPED_BYTES,
    framing_of,
    head_of,
    programs_of,
    tables,
)

_STAMP_BYTES = STAMPED_BYTES - PACKET_BYTES
_MAP, _MAP_PID_OF_DISCS = 0x02, 0x100
_REGISTRATION, _OF_DISCS = 0x05, b"HDMV"
_CLOCK_TICKS = (1 << 33) * 300  # where the 27 MHz clock of ISO/IEC 13818-1 starts anew
_STAMP_TICKS = 1 << 30


@dataclass(frozen=True)
class TransportLayout:
    """stamped: whether each packet of 188 bytes has the 4 bytes of its arrival in front; of_disc: whether the one
    program is registered as that of a Blu-ray disc or AVCHD camera (HDMV)."""

    stamped: bool = False
    of_disc: bool = False

    def muxer_options(self) -> dict[str, str]:
        """For FFmpeg's muxer of transport streams, which would else go by the file's name."""
        return {"mpegts_m2ts_mode": "1" if self.of_disc else "0"}


def read_layout(source: Source) -> TransportLayout:
    """From the first tables of a transport stream; what is none, or has longer packets, counts as a plain one."""
    head = head_of(source)
    pat = next((table for table in tables(head, {PAT_PID}) if table[0] == PAT), b"")
    programs = programs_of(pat)
    program_map = b""
    if len(programs) == 1:
        program_map = next((table for table in tables(head, {programs[0][1]}) if table[0] == _MAP), b"")
    return TransportLayout(framing_of(head)[0] == STAMPED_BYTES, _is_of_disc(program_map))


def _is_of_disc(program_map: bytes) -> bool:
    """Registered as such, with the PID free to which FFmpeg's muxer would move the map."""
    at, registered = 12, False
    end = at + (int.from_bytes(program_map[10:12], "big") & 0xFFF)
    while at + 2 <= min(end, len(program_map)):
        body = program_map[at + 2 : at + 2 + program_map[at + 1]]
        registered |= program_map[at] == _REGISTRATION and body.startswith(_OF_DISCS)
        at += 2 + len(body)
    pids, at = set(), end
    while at + 5 <= len(program_map):
        pids.add(int.from_bytes(program_map[at + 1 : at + 3], "big") & 0x1FFF)
        at += 5 + (int.from_bytes(program_map[at + 3 : at + 5], "big") & 0xFFF)
    return registered and _MAP_PID_OF_DISCS not in pids


@contextmanager
def laid_out(path: str | os.PathLike[str], layout: TransportLayout) -> Iterator[str | LaidOutFile]:
    """Where FFmpeg's muxer writes so that `path` gets this layout."""
    if layout.stamped == layout.of_disc:
        yield os.fspath(path)
        return
    with Path(path).open("wb") as file:
        converter: LaidOutFile = Stamper(file) if layout.stamped else Unstamper(file)
        yield converter
        converter.finish()


class LaidOutFile:
    """Takes the bytes of a stream in any pieces and writes whole packets in another layout."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._waiting = file, bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        self._convert()
        return len(data)

    def finish(self) -> None:
        """After the last write."""

    def _convert(self) -> None:
        raise NotImplementedError


class Unstamper(LaidOutFile):
    """Leaves out the times of arrival."""

    def _convert(self) -> None:
        whole = len(self._waiting) // STAMPED_BYTES * STAMPED_BYTES
        packets = np.frombuffer(bytes(self._waiting[:whole]), np.uint8).reshape(-1, STAMPED_BYTES)
        self._file.write(packets[:, _STAMP_BYTES:].tobytes())
        del self._waiting[:whole]


class Stamper(LaidOutFile):
    """Puts in front of each packet when it arrives, in ticks of 27 MHz: as the stream's own clock says, evenly between
    two of its readings."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._seen = 0
        """bytes of `_waiting` that hold no reading but the one of the first packet"""
        self._clock: int | None = None
        """in the first packet of `_waiting`"""
        self._pid: int | None = None
        self._pace = 0.0
        """ticks a packet"""

    def finish(self) -> None:
        self._stamp(len(self._waiting) // PACKET_BYTES, self._clock or 0, self._pace)

    def _convert(self) -> None:
        whole = len(self._waiting) // PACKET_BYTES * PACKET_BYTES
        packets = np.frombuffer(bytes(self._waiting[self._seen : whole]), np.uint8).reshape(-1, PACKET_BYTES)
        first, written = self._seen // PACKET_BYTES, 0
        has_clock = (packets[:, 3] & 0x20 > 0) & (packets[:, 4] > 0) & (packets[:, 5] & 0x10 > 0)
        for number in np.flatnonzero(has_clock):
            pid, clock = _reading(packets[number])
            if self._pid not in (None, pid):
                continue
            self._pid = pid
            count = first + int(number) - written
            if self._clock is None:
                self._stamp(count, clock, 0.0)
            else:
                passed = (clock - self._clock) % _CLOCK_TICKS
                # A clock that was set back tells nothing of the time between.
                self._pace = passed / count if passed < _CLOCK_TICKS // 2 else 0.0
                self._stamp(count, self._clock, self._pace)
            written += count
            self._clock = clock
        self._seen = whole - written * PACKET_BYTES

    def _stamp(self, count: int, clock: int, pace: float) -> None:
        """Writes the first `count` packets that wait, the first of which arrives at `clock`."""
        out = np.empty((count, STAMPED_BYTES), np.uint8)
        taken = bytes(self._waiting[: count * PACKET_BYTES])
        out[:, _STAMP_BYTES:] = np.frombuffer(taken, np.uint8).reshape(-1, PACKET_BYTES)
        times = (clock + np.arange(count) * pace).astype(np.int64) % _STAMP_TICKS
        out[:, :_STAMP_BYTES] = times.astype(">u4").view(np.uint8).reshape(-1, _STAMP_BYTES)
        self._file.write(out.tobytes())
        del self._waiting[: count * PACKET_BYTES]


def _reading(packet: np.ndarray) -> tuple[int, int]:
    """(PID, clock in ticks of 27 MHz) of a packet that has a program clock reference."""
    field = int.from_bytes(packet[6:12].tobytes(), "big")
    return int.from_bytes(packet[1:3].tobytes(), "big") & 0x1FFF, (field >> 15) * 300 + (field & 0x1FF)
