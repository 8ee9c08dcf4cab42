"""The messages that an HEVC header in MP4 or Matroska (hvcC, ISO/IEC 14496-15, 8.3.3) holds for all pictures.

Of those only the ambient viewing environment (ITU-T H.265, D.2.39) needs to be moved by hand: encoders write the others
from what they are told.
"""

from __future__ import annotations

from collections.abc import Iterator

_VERSION = 1
_FIXED_BYTES = 22
_PREFIX_SEI = 39
_COMPLETE = 0x80
_AMBIENT_VIEWING_ENVIRONMENT = 148


def with_lasting_messages(header: bytes, source_header: bytes) -> bytes:
    """`header` with those messages of `source_header` that its encoder does not write; both hvcC, else unchanged."""
    found = [unit for kind, unit in _units(source_header) if _lasts(kind, unit)]
    if not found or not _is_hvcc(header):
        return header
    array = bytes([_COMPLETE | _PREFIX_SEI]) + len(found).to_bytes(2, "big")
    array += b"".join(len(unit).to_bytes(2, "big") + unit for unit in found)
    return header[:_FIXED_BYTES] + bytes([header[_FIXED_BYTES] + 1]) + header[_FIXED_BYTES + 1 :] + array


def _is_hvcc(header: bytes) -> bool:
    return len(header) > _FIXED_BYTES and header[0] == _VERSION


def _lasts(kind: int, unit: bytes) -> bool:
    return kind == _PREFIX_SEI and len(unit) > 2 and unit[2] == _AMBIENT_VIEWING_ENVIRONMENT


def _units(header: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, NAL unit) of all that is in the header."""
    if not _is_hvcc(header):
        return
    at = _FIXED_BYTES + 1
    for _ in range(header[_FIXED_BYTES]):
        kind, count = header[at] & 0x3F, int.from_bytes(header[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(header[at : at + 2], "big")
            yield kind, header[at + 2 : at + 2 + length]
            at += 2 + length
