"""Cuts packets of H.264 and HEVC into NAL units and puts them together again: with lengths before them (MP4, MOV and
Matroska; ISO/IEC 14496-15) or start codes (transport streams; Annex B of both standards).

It knows neither codec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deblur_core.video.bits import BitstreamError

LENGTH_BYTES = 4
"""of a NAL unit's length; headers that say another number are refused"""

_START_CODE = b"\0\0\1"


def units(packet: bytes | memoryview) -> Iterator[memoryview]:
    """The NAL units of a packet. Raises BitstreamError where their lengths do not add up to it."""
    data, at = memoryview(packet), 0
    while at < len(data):
        length = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        at += LENGTH_BYTES
        if not 0 < length <= len(data) - at:
            raise BitstreamError("its packets are not cut into NAL units as its header says")
        yield data[at : at + length]
        at += length


def framed(unit: bytes | memoryview) -> bytes:
    """A NAL unit as it stands in a packet."""
    return len(unit).to_bytes(LENGTH_BYTES, "big") + bytes(unit)


def has_start_codes(header: bytes) -> bool:
    """Whether a stream with this header has start codes in its packets, too."""
    return header.startswith((_START_CODE, b"\0" + _START_CODE))


def started_units(packet: bytes | memoryview) -> Iterator[memoryview]:
    """The NAL units of a packet with start codes, without the zero bytes between them. Raises BitstreamError if it
    begins with anything else."""
    data = bytes(packet)
    at = data.find(_START_CODE)
    if at < 0 or data[:at].strip(b"\0"):
        raise BitstreamError("its packets do not begin with a start code")
    while at >= 0:
        following = data.find(_START_CODE, at + len(_START_CODE))
        stop = following if following >= 0 else len(data)
        while data[stop - 1] == 0:
            stop -= 1
        yield memoryview(data)[at + len(_START_CODE) : stop]
        at = following


def started(unit: bytes | memoryview) -> bytes:
    """A NAL unit as it stands in a packet with start codes: the short one, for demuxers count what may stand before it
    as part of the packet before."""
    return _START_CODE + bytes(unit)


def counted(sets: Iterable[bytes]) -> bytes:
    """NAL units as they stand in a header, each with two bytes of length."""
    return b"".join(len(unit).to_bytes(2, "big") + unit for unit in sets)


def read_counted(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    """The reverse of `counted`, from byte `at` on, and where it ends. Raises IndexError if `data` is cut short."""
    found = []
    for _ in range(count):
        length = int.from_bytes(data[at : at + 2], "big")
        unit = data[at + 2 : at + 2 + length]
        if not unit or len(unit) < length:
            raise IndexError
        found.append(unit)
        at += 2 + length
    return tuple(found), at
