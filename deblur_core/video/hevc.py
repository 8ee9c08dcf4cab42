"""Reads as much of HEVC as it takes to set pictures of two encoders side by side: parameter sets, kinds of NAL unit.

Clauses are those of ITU-T H.265; the container's header (hvcC) is ISO/IEC 14496-15, 8.3.3.1. It decodes no picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from deblur_core.video.bits import Bits, BitstreamError, unescaped
from deblur_core.video.nal_units import LENGTH_BYTES, counted, has_start_codes, read_counted, started_units

VPS, SPS, PPS, DELIMITER, END_OF_SEQUENCE, PREFIX_SEI = 32, 33, 34, 35, 36, 39
LAST_SUBLAYER_PICTURE = 9
"""nal_unit_type of pictures that are no random access points goes up to it, from 0"""
LEADING = (6, 7, 8, 9)
"""pictures that are shown before the random access point which they follow"""
RASL = (8, 9)
"""leading pictures that refer to pictures before their random access point"""
BLA, IDR, CRA = (16, 17, 18), (19, 20), 21
HEADER_BYTES = 2
"""of a NAL unit"""

_VERSION = 1
_FIXED_BYTES = 22
_COMPLETE = 0x80
_KIND = 0x3F
# Where the fixed part says what (bytes): tier and profile, compatibility and constraints, level, segmentation,
# parallelism, and the lengths of NAL units.
_PROFILE, _FLAGS, _LEVEL, _SEGMENTATION, _PARALLELISM, _LENGTHS = 1, slice(2, 12), 12, slice(13, 15), 15, 21
_TIER = 0x20
_PROFILE_BITS, _LEVEL_BITS = 88, 8
_MOST_SUBLAYERS = 8


@dataclass(frozen=True)
class Header:
    """An hvcC header: its fixed part without the number of arrays, and each array's first byte with its NAL units.
    NAL units in packets have four bytes of length before them."""

    fixed: bytes
    arrays: tuple[tuple[int, tuple[bytes, ...]], ...]

    @property
    def profile(self) -> int:
        """general_profile_idc"""
        return self.fixed[_PROFILE] & 0x1F

    def of_kind(self, kind: int) -> tuple[bytes, ...]:
        """Its NAL units of one type."""
        return tuple(unit for head, found in self.arrays if head & _KIND == kind for unit in found)

    def used_ids(self, kind: int) -> set[int]:
        """Of the parameter sets of one type."""
        return {set_id(unit) for unit in self.of_kind(kind)}

    def joined(self, other: Header) -> Header:
        """One header for streams with both kinds of pictures, which promises no less than either.

        Raises BitstreamError where ids clash or `other` is of a larger profile.
        """
        for kind in (VPS, SPS, PPS):
            if self.used_ids(kind) & other.used_ids(kind):
                raise BitstreamError("both headers use the same parameter set id")
        if other.profile > self.profile:
            raise BitstreamError(f"the encoder's profile is {other.profile}, the source's {self.profile}")
        fixed = bytearray(self.fixed)
        tiers = [each.fixed[_PROFILE] & _TIER for each in (self, other)]
        fixed[_PROFILE] |= max(tiers)
        fixed[_FLAGS] = bytes(a & b for a, b in zip(self.fixed[_FLAGS], other.fixed[_FLAGS], strict=True))
        fixed[_LEVEL] = max(self.fixed[_LEVEL], other.fixed[_LEVEL])
        fixed[_SEGMENTATION] = min(self.fixed[_SEGMENTATION], other.fixed[_SEGMENTATION])
        if self.fixed[_PARALLELISM] != other.fixed[_PARALLELISM]:
            fixed[_PARALLELISM] &= 0xFC  # mixed
        arrays = list(self.arrays)
        for head, found in other.arrays:
            own = [place for place, (mine, _) in enumerate(arrays) if mine & _KIND == head & _KIND]
            if own:
                mine, before = arrays[own[0]]
                arrays[own[0]] = (mine, before + found)
            else:
                arrays.append((head, found))
        return replace(self, fixed=bytes(fixed), arrays=tuple(arrays))

    def to_bytes(self) -> bytes:
        arrays = b"".join(bytes([head]) + len(found).to_bytes(2, "big") + counted(found) for head, found in self.arrays)
        return self.fixed + bytes([len(self.arrays)]) + arrays


@dataclass(frozen=True)
class SequenceParameters:
    """What a sequence parameter set says, as far as it matters beside another one, and where: `*_at` are (first bit,
    end) within the payload behind the NAL unit's header."""

    number: int
    number_at: tuple[int, int]
    coded_width: int
    coded_height: int
    is_cropped_at_start: bool
    """rows or columns are cut off at the top or on the left"""
    buffered_frames: int
    """sps_max_dec_pic_buffering_minus1 of the highest sub-layer"""
    buffered_at: tuple[int, int]
    sublayers: int
    smallest_block: int
    """side of the smallest coding block"""


def parse_header(data: bytes) -> Header:
    """The hvcC header `data`, or what a transport stream has for it: parameter sets with start codes.

    Raises BitstreamError if it is neither, or one with NAL lengths of other than four bytes.
    """
    if has_start_codes(data):
        return _header_of(list(map(bytes, started_units(data))))
    if len(data) <= _FIXED_BYTES or data[0] != _VERSION:
        raise BitstreamError("its stream has no hvcC header")
    if (data[_LENGTHS] & 3) + 1 != LENGTH_BYTES:
        raise BitstreamError("its NAL units have lengths of other than four bytes")
    at, arrays = _FIXED_BYTES + 1, []
    try:
        for _ in range(data[_FIXED_BYTES]):
            head, count = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
            found, at = read_counted(data, at + 3, count)
            arrays.append((head, found))
    except IndexError:
        raise BitstreamError("its hvcC header is cut short") from None
    return Header(data[:_FIXED_BYTES], tuple(arrays))


def _header_of(found: list[bytes]) -> Header:
    """A header that holds these parameter sets. Of its fixed part only what a sequence parameter set says is true."""
    arrays = [complete_array(kind, [unit for unit in found if kind_of(unit) == kind]) for kind in (VPS, SPS, PPS)]
    sequences = arrays[1][1]
    if not sequences:
        raise BitstreamError("its stream has no header")
    described = unescaped(sequences[0][HEADER_BYTES:])[1 : _LEVEL + 1]
    fixed = (bytes([_VERSION]) + described).ljust(_FIXED_BYTES, b"\0")
    return Header(fixed, tuple(arrays))


def complete_array(kind: int, found: Iterable[bytes]) -> tuple[int, tuple[bytes, ...]]:
    """An array of a header that holds all units of its type."""
    return _COMPLETE | kind, tuple(found)


def kind_of(unit: bytes | memoryview) -> int:
    """nal_unit_type, Table 7-1."""
    return unit[0] >> 1 & _KIND


def layer_of(unit: bytes | memoryview) -> int:
    """nuh_layer_id; pictures of the video itself are of layer 0."""
    return (unit[0] & 1) << 5 | unit[1] >> 3


def end_of_sequence() -> bytes:
    """The NAL unit after which a random access picture starts anew, as if nothing had been before it (7.4.2.4.4)."""
    return bytes([END_OF_SEQUENCE << 1, 1])


def delimiter() -> bytes:
    """The NAL unit before a picture of any kind of slices (7.3.2.5)."""
    return bytes([DELIMITER << 1, 1, 0x50])


def message_kinds(unit: bytes) -> Iterator[int]:
    """payloadType of the messages in an SEI unit (7.3.5)."""
    at, stop = HEADER_BYTES, len(unit) - 1
    while at < stop:
        numbers = []
        for _ in range(2):
            number = 0
            while at < stop and unit[at] == 0xFF:
                number, at = number + 0xFF, at + 1
            numbers.append(number + unit[at])
            at += 1
        yield numbers[0]
        at += numbers[1]


def set_id(unit: bytes) -> int:
    """The id of a parameter set of any of the three types."""
    kind = kind_of(unit)
    if kind == VPS:
        return unit[HEADER_BYTES] >> 4
    if kind == SPS:
        return sequence_parameters(unit).number
    return Bits(unit[HEADER_BYTES:]).unsigned()


def sequence_parameters(unit: bytes) -> SequenceParameters:
    """Reads a sequence parameter set (7.3.2.2.1). Raises BitstreamError if it ends too early."""
    bits = Bits(unit[HEADER_BYTES:])
    bits.number(4)
    more = bits.number(3)
    bits.number(1)
    _skip_profile_and_level(bits, more)
    start = bits.at
    number, number_at = bits.unsigned(), (start, bits.at)
    chroma = bits.unsigned()
    if chroma == 3:
        bits.number(1)
    width, height = bits.unsigned(), bits.unsigned()
    crop = [bits.unsigned() for _ in range(4)] if bits.number(1) else [0] * 4
    bits.unsigned(), bits.unsigned(), bits.unsigned()
    buffered, buffered_at = 0, (0, 0)
    for _ in range(more + 1 if bits.number(1) else 1):
        start = bits.at
        buffered, buffered_at = bits.unsigned(), (start, bits.at)
        bits.unsigned(), bits.unsigned()
    return SequenceParameters(
        number=number,
        number_at=number_at,
        coded_width=width,
        coded_height=height,
        is_cropped_at_start=bool(crop[0] or crop[2]),
        buffered_frames=buffered,
        buffered_at=buffered_at,
        sublayers=more + 1,
        smallest_block=8 << bits.unsigned(),
    )


def _skip_profile_and_level(bits: Bits, more: int) -> None:
    """profile_tier_level of `more` sub-layers beside the highest (7.3.3)."""
    bits.number(_PROFILE_BITS + _LEVEL_BITS)
    present = [(bits.number(1), bits.number(1)) for _ in range(more)]
    if more:
        bits.number(2 * (_MOST_SUBLAYERS - more))
    for has_profile, has_level in present:
        bits.number(_PROFILE_BITS * has_profile + _LEVEL_BITS * has_level)
