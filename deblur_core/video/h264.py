"""Reads as much of H.264 as it takes to set pictures of two encoders side by side: parameter sets, kinds of NAL unit.

Clauses are those of ITU-T H.264; the container's header (avcC) is ISO/IEC 14496-15, 5.3.3.1. It decodes no picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deblur_core.video.bits import Bits, BitstreamError
from deblur_core.video.nal_units import LENGTH_BYTES, counted, has_start_codes, read_counted, started_units

SLICE, IDR_SLICE, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9
_EXTENDED_SAR = 255
# Profiles whose SPS says more of samples and scaling (7.3.2.1.1).
_HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}


@dataclass(frozen=True)
class Header:
    """An avcC header: profile, compatibility, level (one byte each), its parameter sets as NAL units, and what follows
    them. NAL units in packets have four bytes of length before them."""

    profile: int
    compatibility: int
    level: int
    sequence_sets: tuple[bytes, ...]
    picture_sets: tuple[bytes, ...]
    tail: bytes

    @property
    def used_ids(self) -> set[int]:
        """Of sequence and picture parameter sets alike."""
        sequence = {sequence_parameters(unit).number for unit in self.sequence_sets}
        return sequence | {Bits(unit[1:]).unsigned() for unit in self.picture_sets}

    def joined(self, other: Header) -> Header:
        """One header for streams with both kinds of pictures. Raises BitstreamError where ids clash."""
        if self.used_ids & other.used_ids:
            raise BitstreamError("both headers use the same parameter set id")
        return replace(
            self,
            compatibility=self.compatibility & other.compatibility,
            level=max(self.level, other.level),
            sequence_sets=self.sequence_sets + other.sequence_sets,
            picture_sets=self.picture_sets + other.picture_sets,
        )

    def to_bytes(self) -> bytes:
        first = bytes([1, self.profile, self.compatibility, self.level, 0xFC | LENGTH_BYTES - 1])
        sequence = bytes([0xE0 | len(self.sequence_sets)]) + counted(self.sequence_sets)
        return first + sequence + bytes([len(self.picture_sets)]) + counted(self.picture_sets) + self.tail


@dataclass(frozen=True)
class SequenceParameters:
    """What a sequence parameter set says, as far as it matters beside another one."""

    number: int
    coded_width: int
    coded_height: int
    is_cropped_at_start: bool
    """rows or columns are cut off at the top or on the left"""
    buffered_frames: int
    """how many frames the decoder holds: max_dec_frame_buffering, or max_num_ref_frames where that is not said"""
    frame_number_bits: int
    order_type: int
    """pic_order_cnt_type"""
    order_bits: int
    """of pic_order_cnt_lsb, where the type is 0"""
    has_order_deltas: bool
    """where the type is 1"""
    has_separate_planes: bool
    frames_only: bool
    """no picture is a field"""


@dataclass(frozen=True)
class PictureParameters:
    """What a picture parameter set says of slice headers."""

    number: int
    is_arithmetic: bool
    """CABAC"""
    has_bottom_order: bool
    has_deblocking: bool
    has_redundancy: bool


def parse_header(data: bytes) -> Header:
    """The avcC header `data`, or what a transport stream has for it: parameter sets with start codes.

    Raises BitstreamError if it is neither, or one with NAL lengths of other than four bytes.
    """
    try:
        if has_start_codes(data):
            return _header_of(list(map(bytes, started_units(data))))
        if data[0] != 1:
            raise BitstreamError("its stream has no avcC header")
        if data[4] & 3 != LENGTH_BYTES - 1:
            raise BitstreamError("its NAL units have lengths of other than four bytes")
        sequence_sets, at = read_counted(data, 6, data[5] & 31)
        picture_sets, at = read_counted(data, at + 1, data[at])
    except IndexError:
        raise BitstreamError("its avcC header is cut short or missing") from None
    return Header(data[1], data[2], data[3], sequence_sets, picture_sets, data[at:])


def _header_of(found: list[bytes]) -> Header:
    sequence_sets = tuple(unit for unit in found if kind_of(unit) == SPS)
    picture_sets = tuple(unit for unit in found if kind_of(unit) == PPS)
    profile, compatibility, level = sequence_sets[0][1], sequence_sets[0][2], sequence_sets[0][3]
    return Header(profile, compatibility, level, sequence_sets, picture_sets, b"")


def delimiter() -> bytes:
    """The NAL unit before a picture of any kind of slices (7.3.2.4)."""
    return bytes([DELIMITER, 0xF0])


def kind_of(unit: bytes | memoryview) -> int:
    """nal_unit_type, Table 7-1."""
    return unit[0] & 31


def is_user_data(unit: bytes | memoryview) -> bool:
    """Whether a NAL unit is an SEI message of unregistered user data (payload 5): where encoders sign their work."""
    return kind_of(unit) == SEI and len(unit) > 1 and unit[1] == 5


def sequence_parameters(unit: bytes) -> SequenceParameters:
    """Reads a sequence parameter set (7.3.2.1.1). Raises BitstreamError if it ends too early."""
    bits = Bits(unit[1:])
    profile = bits.number(8)
    bits.number(16)
    number = bits.unsigned()
    chroma, has_separate_planes = 1, False
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        if chroma == 3:
            has_separate_planes = bool(bits.number(1))
        bits.unsigned(), bits.unsigned(), bits.number(1)
        if bits.number(1):
            _skip_scaling(bits, 12 if chroma == 3 else 8)
    frame_number_bits = bits.unsigned() + 4
    order_type, order_bits, has_order_deltas = bits.unsigned(), 0, False
    if order_type == 0:
        order_bits = bits.unsigned() + 4
    elif order_type == 1:
        has_order_deltas = not bits.number(1)
        bits.signed(), bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
    reference_frames = bits.unsigned()
    bits.number(1)
    width, height = 16 * (bits.unsigned() + 1), 16 * (bits.unsigned() + 1)
    frames_only = bool(bits.number(1))
    if not frames_only:
        height *= 2
        bits.number(1)
    bits.number(1)
    crop = [bits.unsigned() for _ in range(4)] if bits.number(1) else [0] * 4
    buffered = _buffering(bits) if bits.number(1) else None
    return SequenceParameters(
        number=number,
        coded_width=width,
        coded_height=height,
        is_cropped_at_start=bool(crop[0] or crop[2]),
        buffered_frames=reference_frames if buffered is None else buffered,
        frame_number_bits=frame_number_bits,
        order_type=order_type,
        order_bits=order_bits,
        has_order_deltas=has_order_deltas,
        has_separate_planes=has_separate_planes,
        frames_only=frames_only,
    )


def picture_parameters(unit: bytes) -> PictureParameters:
    """Reads a picture parameter set (7.3.2.2) without slice groups. Raises BitstreamError for others."""
    bits = Bits(unit[1:])
    number = bits.unsigned()
    bits.unsigned()
    is_arithmetic, has_bottom_order = bool(bits.number(1)), bool(bits.number(1))
    if bits.unsigned():
        raise BitstreamError("its pictures are cut into slice groups")
    bits.unsigned(), bits.unsigned(), bits.number(3), bits.signed(), bits.signed(), bits.signed()
    has_deblocking = bool(bits.number(1))
    bits.number(1)
    return PictureParameters(number, is_arithmetic, has_bottom_order, has_deblocking, bool(bits.number(1)))


def _skip_scaling(bits: Bits, lists: int) -> None:
    for place in range(lists):
        if not bits.number(1):
            continue
        last = following = 8
        for _ in range(16 if place < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def _buffering(bits: Bits) -> int | None:
    """max_dec_frame_buffering of the video usability information (E.1.1), None where it does not say."""
    if bits.number(1) and bits.number(8) == _EXTENDED_SAR:
        bits.number(32)
    if bits.number(1):
        bits.number(1)
    if bits.number(1):
        bits.number(4)
        if bits.number(1):
            bits.number(24)
    if bits.number(1):
        bits.unsigned(), bits.unsigned()
    if bits.number(1):
        bits.number(65)
    has_hrd = False
    for _ in range(2):
        if bits.number(1):
            has_hrd = True
            count = bits.unsigned() + 1
            bits.number(8)
            for _ in range(count):
                bits.unsigned(), bits.unsigned(), bits.number(1)
            bits.number(20)
    if has_hrd:
        bits.number(1)
    bits.number(1)
    if not bits.number(1):
        return None
    bits.number(1)
    for _ in range(5):
        bits.unsigned()
    return bits.unsigned()
