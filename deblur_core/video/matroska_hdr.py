"""Writes mastering display and content light level into a finished part file, for codecs that do not carry them.

FFmpeg's Matroska muxer takes both from the stream, where PyAV cannot put them, and FFV1 and VP9 have no place for them.
The elements are those of RFC 9559, 5.1.4.1.28; only what reading a part from its start needs is kept.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from deblur_core.video.probe import MasteringDisplay

_SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_TRACK_ENTRY, _VIDEO, _COLOUR, _CRC = 0xAE, 0xE0, 0x55B0, 0xBF
_MAX_CLL, _MAX_FALL, _MASTERING = 0x55BC, 0x55BD, 0x55D0
_FIRST_PRIMARY, _LUMINANCE_MAX, _LUMINANCE_MIN = 0x55D1, 0x55D9, 0x55DA
_KEPT = {_INFO, _TRACKS, _CLUSTER}


def add_static_hdr(
    path: str | os.PathLike[str], display: MasteringDisplay | None, light: tuple[int, int] | None
) -> None:
    """Rewrites the Matroska file `path` of one video track with these values in its colour description.

    Raises ValueError if the file is not what FFmpeg's muxer writes.
    """
    path = Path(path)
    rewritten = path.with_name(path.name + ".hdr")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        elements = list(_elements(whole, 0, len(whole)))
        if len(elements) != 2 or elements[1][0] != _SEGMENT:
            raise ValueError(f"{path.name} is not one Matroska segment")
        _, start, stop = elements[1]
        kept = [each for each in _elements(whole, start, stop) if each[0] in _KEPT]
        tracks = next(_with_colour(whole[first:last], display, light) for each, first, last in kept if each == _TRACKS)
        sizes = [len(tracks) if each == _TRACKS else last - first for each, first, last in kept]
        heads = [_head(each, size) for (each, _, _), size in zip(kept, sizes, strict=True)]
        with rewritten.open("wb") as target, memoryview(whole) as view:
            target.write(view[: elements[0][2]])
            target.write(_head(_SEGMENT, sum(sizes) + sum(map(len, heads))))
            for head, (each, first, last) in zip(heads, kept, strict=True):
                target.write(head)
                target.write(tracks if each == _TRACKS else view[first:last])
    rewritten.replace(path)


def _with_colour(tracks: bytes, display: MasteringDisplay | None, light: tuple[int, int] | None) -> bytes:
    return _inside(tracks, (_TRACK_ENTRY, _VIDEO, _COLOUR), _description(display, light))


def _inside(data: bytes, path: tuple[int, ...], added: bytes) -> bytes:
    """The elements of `data`, with `added` at the end of the one that `path` leads to. A checksum would be wrong."""
    if not path:
        return data + added
    children = [(each, data[first:last]) for each, first, last in _elements(data, 0, len(data)) if each != _CRC]
    if all(each != path[0] for each, _ in children):
        children.append((path[0], b""))
    return b"".join(
        _element(each, _inside(content, path[1:], added) if each == path[0] else content) for each, content in children
    )


def _description(display: MasteringDisplay | None, light: tuple[int, int] | None) -> bytes:
    found = b""
    if light is not None:
        found += _element(_MAX_CLL, light[0].to_bytes(4, "big")) + _element(_MAX_FALL, light[1].to_bytes(4, "big"))
    if display is not None:
        points = (display.red, display.green, display.blue, display.white)
        shares = [coordinate / 50000 for point in points for coordinate in point]
        values = {_FIRST_PRIMARY + place: share for place, share in enumerate(shares)}
        values |= {_LUMINANCE_MAX: display.luminance_max / 10000, _LUMINANCE_MIN: display.luminance_min / 10000}
        inner = b"".join(_element(each, struct.pack(">d", value)) for each, value in values.items())
        found += _element(_MASTERING, inner)
    return found


def _elements(data: bytes | mmap.mmap, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(identifier, start and end of its content) of each EBML element (RFC 8794, 4 to 6)."""
    while at < stop:
        number, at = _number(data, at, keeps_marker=True)
        size, at = _number(data, at, keeps_marker=False)
        yield number, at, at + size
        at += size


def _number(data: bytes | mmap.mmap, at: int, keeps_marker: bool) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return value if keeps_marker else value & (1 << 7 * length) - 1, at + length


def _element(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, size: int) -> bytes:
    """Identifier and size, the size in eight bytes, which hold any."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + (1 << 56 | size).to_bytes(8, "big")
