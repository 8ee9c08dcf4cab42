"""Finds the packets of a transport stream and the tables in them (ISO/IEC 13818-1, 2.4).

It knows how tables are cut into packets, and of what they say only where the programs are.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from deblur_core.video.source import Source

PAT_PID = 0
PAT = 0x00
"""Kind of the table that names the programs, its first byte"""
PACKET_BYTES = 188
STAMPED_BYTES = 192
"""With the time of its arrival in front of each packet, as discs and their cameras store them"""
_SEARCHED_BYTES = 4 << 20
_ENOUGH_TO_TELL = 2 << 10
_SYNC = 0x47
_CRC_BYTES = 4


@dataclass
class _Section:
    """A table on its way through the packets of one PID."""

    data: bytearray = field(default_factory=bytearray)
    begun: bool = False

    def complete(self) -> bytes | None:
        length = 3 + (int.from_bytes(self.data[1:3], "big") & 0xFFF) if len(self.data) > 3 else None
        return bytes(self.data[: length - _CRC_BYTES]) if length and len(self.data) >= length else None


def programs_of(pat: bytes) -> list[tuple[int, int]]:
    """(number, PID of its map) of each program that a PAT names."""
    entries = [
        (int.from_bytes(pat[at : at + 2], "big"), int.from_bytes(pat[at + 2 : at + 4], "big") & 0x1FFF)
        for at in range(8, len(pat) - 3, 4)
    ]
    return [entry for entry in entries if entry[0]]


def head_of(source: Source) -> bytes:
    """The first 4 MiB; nothing of what is no transport stream."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            return _searched(file)
    source.seek(0)
    return _searched(source)


def _searched(file: BinaryIO) -> bytes:
    start = file.read(_ENOUGH_TO_TELL)
    return start + file.read(_SEARCHED_BYTES - len(start)) if framing_of(start)[0] else b""


def tables(data: bytes, pids: Collection[int]) -> Iterator[bytes]:
    """The tables of these PIDs, without their checksums, as they come."""
    size, start = framing_of(data)
    open_sections = {pid: _Section() for pid in pids}
    for at in range(start, len(data) - PACKET_BYTES + 1, size) if size else ():
        packet = data[at : at + PACKET_BYTES]
        section = open_sections.get(int.from_bytes(packet[1:3], "big") & 0x1FFF)
        if section is None or packet[0] != _SYNC or not packet[3] & 0x10:
            continue
        payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if packet[1] & 0x40 and payload:
            section.data, section.begun = bytearray(payload[1 + payload[0] :]), True
        elif section.begun:
            section.data += payload
        complete = section.complete()
        if complete is not None:
            section.begun = False
            section.data = bytearray()
            yield complete


def framing_of(data: bytes) -> tuple[int, int]:
    """(bytes from packet to packet, place of the first); (0, 0) where there are none."""
    for size, lead in ((PACKET_BYTES, 0), (STAMPED_BYTES, 4), (204, 0)):
        for start in range(lead, min(lead + size, len(data) - 3 * size)):
            if all(data[start + number * size] == _SYNC for number in range(4)):
                return size, start
    return 0, 0
