"""Changes bytes as damage, editing by hand and malice do; the same for the same seed, wherever it runs.

It knows boxes of MP4 and numbers of every width, and nothing of the program under test.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_BOXES = (
    b"moov trak mdia minf stbl stsd stts ctts stsc stsz stco co64 stss elst edts dref mdhd hdlr mvhd tkhd udta meta "
    b"ilst moof traf trun tfhd tfdt mvex trex avcC hvcC colr pasp mdat free"
).split()
_HEADER_BYTES = 4096


def mutated(data: bytes, other: bytes, seed: str) -> bytes:
    """`data` after one to eight changes. other: where some of them take bytes from."""
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        if not changed:
            changed += b"\0"
        change = rng.choices([each for each, _ in _CHANGES], [weight for _, weight in _CHANGES])[0]
        change(changed, other, rng)
    return bytes(changed)


def _place(data: bytearray, rng: random.Random) -> int:
    """Anywhere, but oftener where headers are: at the start and at the end."""
    region = rng.random()
    if region < 0.4:
        return rng.randrange(min(len(data), _HEADER_BYTES))
    if region < 0.6:
        return len(data) - 1 - rng.randrange(min(len(data), _HEADER_BYTES))
    return rng.randrange(len(data))


def _length(data: bytearray, rng: random.Random) -> int:
    return min(int(2 ** rng.uniform(0, 12)), len(data))


def _flip(data: bytearray, other: bytes, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 4, 16))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _set(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at : at + _length(data, rng) // 64 + 1] = rng.randbytes(_length(data, rng) // 64 + 1)


def _number(data: bytearray, other: bytes, rng: random.Random) -> None:
    number, width = rng.choice(_NUMBERS), rng.choice("BHIQ")
    size = struct.calcsize(width)
    at = _place(data, rng)
    packed = struct.pack(rng.choice("<>") + width, number & (1 << 8 * size) - 1)
    data[at : at + size] = packed


def _remove(data: bytearray, other: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + _length(data, rng)]


def _repeat(data: bytearray, other: bytes, rng: random.Random) -> None:
    at, length = _place(data, rng), _length(data, rng)
    data[at:at] = data[at : at + length] * rng.choice((1, 1, 2, 20))


def _exchange(data: bytearray, other: bytes, rng: random.Random) -> None:
    length = _length(data, rng)
    one, two = _place(data, rng), _place(data, rng)
    data[one : one + length], data[two : two + length] = data[two : two + length], data[one : one + length]


def _zero(data: bytearray, other: bytes, rng: random.Random) -> None:
    at, length = _place(data, rng), _length(data, rng)
    data[at : at + length] = bytes(len(data[at : at + length]))


def _cut(data: bytearray, other: bytes, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    """The start of one file and the rest of another, or a piece of it in the middle."""
    if not other:
        return
    at, start = _place(data, rng), rng.randrange(len(other))
    if rng.random() < 0.5:
        data[at:] = other[start:]
    else:
        length = int(2 ** rng.uniform(2, 14))
        data[at : at + length] = other[start : start + length]


def _box(data: bytearray, other: bytes, rng: random.Random) -> None:
    """A box grows, shrinks, is called otherwise, goes, or comes twice."""
    kinds = [kind for kind in _BOXES if kind in data]
    if not kinds:
        return _number(data, other, rng)
    kind = rng.choice(kinds)
    at = data.index(kind) - 4
    if at < 0:
        return None
    size = int.from_bytes(data[at : at + 4], "big")
    action = rng.randrange(5)
    if action == 0:
        data[at : at + 4] = struct.pack(">I", rng.choice((0, 1, 7, 8, size + 1, max(size - 4, 0), 0xFFFFFFFF)))
    elif action == 1:
        data[at + 4 : at + 8] = rng.choice(_BOXES)
    elif action == 2:
        del data[at : at + size]
    elif action == 3:
        data[at:at] = data[at : at + min(size, 1 << 16)]
    else:
        field = at + 8 + 4 * rng.randrange(max(min(size // 4 - 2, 16), 1))
        data[field : field + 4] = struct.pack(">I", rng.choice(_NUMBERS) & 0xFFFFFFFF)
    return None


def _nest(data: bytearray, other: bytes, rng: random.Random) -> None:
    """What readers that call themselves do not come back from."""
    at = _place(data, rng)
    data[at:at] = rng.choice((b"[", b'{"a":', b"(", b"\x1a\x45\xdf\xa3", b"[a]\nb=", b"\xff")) * rng.choice(
        (50, 20_000)
    )


_Change = Callable[[bytearray, bytes, random.Random], None]
_CHANGES: tuple[tuple[_Change, float], ...] = (
    (_flip, 4),
    (_set, 2),
    (_number, 4),
    (_box, 4),
    (_remove, 2),
    (_repeat, 1),
    (_exchange, 1),
    (_zero, 1),
    (_cut, 1),
    (_splice, 1),
    (_nest, 0.15),
)
