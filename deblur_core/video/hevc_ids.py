"""Gives the parameter sets of an HEVC encoder, and its pictures, ids that another encoder's leave free.

Encoders number theirs from 0. In a slice the id stands before all else that matters, in a code of variable length; the
new id's is longer by just eight bits, so that everything behind it moves by one byte and no more of the slice need be
understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deblur_core.video.bits import Bits, BitstreamError, escaped, unescaped
from deblur_core.video.hevc import (
    CRA,
    HEADER_BYTES,
    LAST_SUBLAYER_PICTURE,
    PPS,
    SPS,
    VPS,
    Header,
    complete_array,
    kind_of,
    parse_header,
    sequence_parameters,
)

_VIDEO_IDS = _SEQUENCE_IDS = range(16)
_PICTURE_IDS = range(15, 31)
"""ids whose codes have nine bits; that of id 0 has one"""
_RANDOM_ACCESS = range(16, 24)


@dataclass(frozen=True)
class FreeIds:
    """Of the three types of parameter sets."""

    video: int
    sequence: int
    picture: int


def free_ids(header: Header) -> FreeIds:
    """Ids that the source with this header does not use. Raises BitstreamError if it leaves none."""
    return FreeIds(
        _least(_VIDEO_IDS, header.used_ids(VPS)),
        _least(_SEQUENCE_IDS, header.used_ids(SPS)),
        _least(_PICTURE_IDS, header.used_ids(PPS)),
    )


def renamed_header(own: bytes, ids: FreeIds, buffered_frames: int) -> Header:
    """An encoder's header with other ids; its pictures are announced to need no fewer buffered frames than given.

    Raises BitstreamError if it does not have one set of each kind, the picture parameters with id 0.
    """
    header = parse_header(own)
    found = [header.of_kind(kind) for kind in (VPS, SPS, PPS)]
    if [len(each) for each in found] != [1, 1, 1] or header.used_ids(PPS) != {0}:
        raise BitstreamError("the encoder's parameter sets are not as it usually writes them")
    (video,), (sequence,), (picture,) = found
    said = sequence_parameters(sequence)
    sets = {
        VPS: _replaced(video, [((0, 4), f"{ids.video:04b}")]),
        SPS: _replaced(
            sequence,
            [
                ((0, 4), f"{ids.video:04b}"),
                (said.number_at, _code(ids.sequence)),
                (said.buffered_at, _code(max(said.buffered_frames, buffered_frames))),
            ],
        ),
        PPS: _renamed_picture_set(picture, ids),
    }
    others = tuple(each for each in header.arrays if each[0] & 0x3F not in sets)
    return Header(header.fixed, tuple(complete_array(kind, [unit]) for kind, unit in sets.items()) + others)


def renamed_slice(unit: bytes | memoryview, ids: FreeIds) -> bytes:
    """A slice of a picture that refers to picture parameters of id 0, with the new id. Raises BitstreamError for
    another one."""
    kind = kind_of(unit)
    if not (kind <= LAST_SUBLAYER_PICTURE or kind in _RANDOM_ACCESS):
        raise BitstreamError(f"a NAL unit of type {kind} is no slice")
    before = 2 if kind in _RANDOM_ACCESS else 1
    data = unescaped(bytes(unit[HEADER_BYTES:]))
    value, behind = int.from_bytes(data, "big"), 8 * len(data) - before
    if not value >> behind - 1 & 1:
        raise BitstreamError("the encoder's slices refer to other picture parameters than its first")
    head, rest = value >> behind, value & (1 << behind - 1) - 1
    code = _code(ids.picture)
    value = (head << len(code) | int(code, 2)) << behind - 1 | rest
    payload = escaped(value.to_bytes(len(data) + 1, "big"))
    # A payload must not end with a zero byte (7.4.2).
    return bytes(unit[:HEADER_BYTES]) + payload + (b"\3" if payload.endswith(b"\0") else b"")


def is_slice(unit: bytes | memoryview) -> bool:
    """Whether a NAL unit holds part of a picture."""
    kind = kind_of(unit)
    return kind <= LAST_SUBLAYER_PICTURE or kind in range(_RANDOM_ACCESS.start, CRA + 1)


def _renamed_picture_set(unit: bytes, ids: FreeIds) -> bytes:
    bits = Bits(unit[HEADER_BYTES:])
    bits.unsigned()
    middle = bits.at
    bits.unsigned()
    return _replaced(unit, [((0, middle), _code(ids.picture)), ((middle, bits.at), _code(ids.sequence))])


def _replaced(unit: bytes, changes: Sequence[tuple[tuple[int, int], str]]) -> bytes:
    """A parameter set with other bits in some places ((first, end), rising), which may be more or fewer."""
    data = unescaped(unit[HEADER_BYTES:])
    text = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
    pieces, at = [], 0
    for (start, stop), bits in changes:
        pieces += [text[at:start], bits]
        at = stop
    whole = ("".join(pieces) + text[at:]).rstrip("0")
    whole = whole.ljust(-(-len(whole) // 8) * 8, "0")
    return unit[:HEADER_BYTES] + escaped(int(whole, 2).to_bytes(len(whole) // 8, "big"))


def _code(number: int) -> str:
    """ue(v), 9.2."""
    return f"{number + 1:b}".rjust(2 * (number + 1).bit_length() - 1, "0")


def _least(possible: Sequence[int], used: set[int]) -> int:
    free = next((number for number in possible if number not in used), None)
    if free is None:
        raise BitstreamError("it leaves no parameter set id free")
    return free
