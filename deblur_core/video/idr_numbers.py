"""Gives the IDR pictures of an encoder other numbers than its own.

Two IDR pictures in a row must differ in idr_pic_id (H.264, 7.4.3). Encoders count from 0, so where the pictures of two
meet, both may say the same. It rewrites the header of intra slices of progressive pictures and leaves their data as it
is.
"""

from __future__ import annotations

from deblur_core.video.bits import Bits, BitstreamError, escaped, unescaped
from deblur_core.video.h264 import (
    Header,
    PictureParameters,
    SequenceParameters,
    picture_parameters,
    sequence_parameters,
)

_FIRST_NUMBER = 65534  # of 0 to 65535: as far as can be from where encoders begin
_NO_DEBLOCKING = 1
_INTRA = 2
_LONGEST_HEADER = 64  # bytes; an intra slice's takes a dozen


def renumbered(unit: bytes, header: Header) -> bytes:
    """An IDR slice of a stream with this header (one parameter set of each kind), idr_pic_id 65534 or 65535 instead of
    even or odd.

    Raises BitstreamError if the slice is not intra, or of another picture parameter set.
    """
    sequence, picture = sequence_parameters(header.sequence_sets[0]), picture_parameters(header.picture_sets[0])
    bits = Bits(unit[1 : 1 + _LONGEST_HEADER])
    bits.unsigned()
    if bits.unsigned() % 5 != _INTRA or bits.unsigned() != picture.number or not sequence.frames_only:
        raise BitstreamError("an IDR slice is not as its encoder writes it")
    if sequence.has_separate_planes:
        bits.number(2)
    bits.number(sequence.frame_number_bits)
    start = bits.at
    number = _FIRST_NUMBER + bits.unsigned() % 2
    stop = bits.at
    data = unescaped(unit[1:])
    if picture.is_arithmetic:
        _skip_rest(bits, sequence, picture)
    # Arithmetic coding starts at a whole byte behind the header, so the bytes from there on stay.
    text = _to_text(data[: -(-bits.at // 8)] if picture.is_arithmetic else data)
    renamed = text[:start] + f"{number + 1:b}".rjust(2 * (number + 1).bit_length() - 1, "0")
    if picture.is_arithmetic:
        head = renamed + text[stop : bits.at]
        rewritten = _to_bytes(head.ljust(-(-len(head) // 8) * 8, "1")) + data[-(-bits.at // 8) :]
    else:
        whole = (renamed + text[stop:]).rstrip("0")
        rewritten = _to_bytes(whole.ljust(-(-len(whole) // 8) * 8, "0"))
    return unit[:1] + escaped(rewritten)


def _skip_rest(bits: Bits, sequence: SequenceParameters, picture: PictureParameters) -> None:
    """Reads an IDR slice's header to its end (7.3.3) from behind idr_pic_id."""
    if sequence.order_type == 0:
        bits.number(sequence.order_bits)
        if picture.has_bottom_order:
            bits.signed()
    elif sequence.order_type == 1 and sequence.has_order_deltas:
        bits.signed()
        if picture.has_bottom_order:
            bits.signed()
    if picture.has_redundancy:
        bits.unsigned()
    bits.number(2)
    bits.signed()
    if picture.has_deblocking and bits.unsigned() != _NO_DEBLOCKING:
        bits.signed(), bits.signed()


def _to_text(data: bytes) -> str:
    return f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"


def _to_bytes(bits: str) -> bytes:
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
