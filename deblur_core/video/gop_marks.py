"""Tells from the NAL units of packets where independent GOPs of H.264 and HEVC start, and what keeps them from staying.

It looks at the first bytes of units, in decoding order; it knows nothing of times or frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from deblur_core.video import h264, hevc
from deblur_core.video.bits import BitstreamError
from deblur_core.video.nal_units import has_start_codes

_H264_PICTURE = range(1, 6)
# Slices in partitions, auxiliary pictures, and the further layers and views of scalable and multiview coding. What only
# says which layer a picture belongs to (14) does no harm: many phones write it.
_H264_TOO_RICH = {2, 3, 4, 15, 19, 20, 21}
_HEVC_PICTURE = range(32)
_HEVC_RESERVED = {*range(10, 16), *range(22, 32)}
_HEVC_SETS = (hevc.VPS, hevc.SPS, hevc.PPS)
_HEVC_ENDS = (hevc.END_OF_SEQUENCE, 37)


class Mark(NamedTuple):
    """What a packet says. starts: a GOP, as far as it can tell; goes_back: the GOP in which it is needs the one
    before, however it started; leads: it is shown before the picture that starts its GOP; refers_back: what leads in
    its GOP needs the one before."""

    starts: bool
    goes_back: bool = False
    leads: bool = False
    refers_back: bool = False


class Marker(Protocol):
    """Sees the packets of one stream."""

    def mark(self, units: Sequence[memoryview]) -> Mark:
        """Of the next packet. Raises BitstreamError where no GOP of the stream can stay."""


def marker_of(codec: str, extradata: bytes) -> Marker:
    """For FFmpeg's codec name. Raises BitstreamError if the stream's header is not one that can be read."""
    if codec == "hevc":
        return HevcMarker(hevc.parse_header(extradata), has_start_codes(extradata))
    return H264Marker(h264.parse_header(extradata), has_start_codes(extradata))


class H264Marker:
    """A GOP goes from one IDR picture to the next. A keyframe that is none (a recovery point, an open GOP) belongs to
    the GOP before it."""

    def __init__(self, header: h264.Header, in_band: bool) -> None:
        self._sets, self._in_band = {*header.sequence_sets, *header.picture_sets}, in_band

    def mark(self, units: Sequence[memoryview]) -> Mark:
        picture = None
        for unit in units:
            kind = h264.kind_of(unit)
            if kind in (h264.SPS, h264.PPS):
                _require_known(unit, self._sets)
            if kind in _H264_TOO_RICH:
                raise BitstreamError(f"its pictures come with NAL units of type {kind}")
            if picture is None and kind in _H264_PICTURE:
                picture = kind
        starts = picture == h264.IDR_SLICE
        if self._in_band:
            _require_delimited(units, h264.kind_of(units[0]) == h264.DELIMITER, self._sets if starts else set())
        return Mark(starts)


class HevcMarker:
    """A GOP goes from one random access point to the next: IDR, BLA or CRA. Leading pictures of a CRA picture may refer
    to what came before it (RASL, 3.122 of H.265): no other picture needs them.

    In transport streams CRA never starts one: what must end the sequence before it would be taken for a part of it.
    """

    def __init__(self, header: hevc.Header, in_band: bool) -> None:
        self._sets = {unit for kind in _HEVC_SETS for unit in header.of_kind(kind)}
        self._in_band = in_band
        self._point: int | None = None
        self._is_ended = True
        self._starts_anew = True

    def mark(self, units: Sequence[memoryview]) -> Mark:
        picture, ends = None, False
        for unit in units:
            kind = hevc.kind_of(unit)
            if kind in _HEVC_SETS:
                _require_known(unit, self._sets)
            if hevc.layer_of(unit):
                raise BitstreamError("its pictures come in several layers")
            if kind in _HEVC_RESERVED:
                raise BitstreamError(f"its pictures come with NAL units of type {kind}")
            if picture is None and kind in _HEVC_PICTURE:
                picture = kind
            ends |= kind in _HEVC_ENDS
        starts = picture in (*hevc.IDR, *hevc.BLA, hevc.CRA)
        if self._in_band:
            _require_delimited(units, hevc.kind_of(units[0]) == hevc.DELIMITER, self._sets if starts else set())
        if starts:
            is_first = self._point is None
            self._point, self._starts_anew = picture, picture in hevc.BLA or (self._is_ended and not is_first)
        refers_back = picture in hevc.RASL
        if refers_back and self._starts_anew and self._point is not None:
            raise BitstreamError("it has pictures that are never shown, because what they refer to was cut off")
        self._is_ended = ends if picture is not None else self._is_ended or ends
        if self._in_band:
            return Mark(starts, goes_back=picture == hevc.CRA)
        leads = self._point == hevc.CRA and picture in hevc.LEADING
        return Mark(starts, leads=leads, refers_back=refers_back)


def _require_known(unit: memoryview, sets: set[bytes]) -> None:
    if bytes(unit) not in sets:
        raise BitstreamError("it has parameter sets between its pictures that are not those of its header")


def _require_delimited(units: Sequence[memoryview], has_delimiter: bool, sets: set[bytes]) -> None:
    if not has_delimiter:
        raise BitstreamError("its pictures come without the delimiters that a transport stream asks for")
    if not sets <= {bytes(unit) for unit in units}:
        raise BitstreamError("it does not repeat its parameter sets where its GOPs start")
