"""Makes pictures of an encoder fit between those of another, in one stream.

It knows the NAL units of H.264 and HEVC, but neither how they stand in packets nor any frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from deblur_core.video import h264, hevc
from deblur_core.video.hevc_ids import free_ids, is_slice, renamed_header, renamed_slice
from deblur_core.video.idr_numbers import renumbered

Unit = bytes | memoryview
Units = Iterable[memoryview]


class Joining(Protocol):
    """Of a source and an encoder, each with its header."""

    @property
    def header(self) -> bytes:
        """Of the stream with both kinds of pictures, in containers that have one."""

    @property
    def sets(self) -> tuple[bytes, ...]:
        """The encoder's parameter sets as they stand in that stream."""

    @property
    def delimiter(self) -> bytes:
        """The unit before a picture, where such are used."""

    def fitted(self, own: Units, is_keyframe: bool, first_of_source: Units) -> Iterator[Unit]:
        """The units of one of the encoder's packets as they stand in that stream; first_of_source: those of the
        source's first, where it is to take the place of that one."""

    def ending(self, following: Units) -> tuple[bytes, ...]:
        """What is added to such a packet, where the next one is the source's."""


def joining_of(codec: str, source_header: bytes, own_header: bytes) -> Joining:
    """For FFmpeg's codec name. Raises BitstreamError where the two do not fit together."""
    kind = HevcJoining if codec == "hevc" else H264Joining
    return kind(source_header, own_header)


def parameter_sets(codec: str, header: bytes) -> tuple[int, set[bytes]]:
    """The profile and all parameter sets of a stream's header. Raises BitstreamError if it cannot be read."""
    if codec == "hevc":
        found = hevc.parse_header(header)
        return found.profile, {unit for kind in (hevc.VPS, hevc.SPS, hevc.PPS) for unit in found.of_kind(kind)}
    avc = h264.parse_header(header)
    return avc.profile, {*avc.sequence_sets, *avc.picture_sets}


class H264Joining:
    """The encoder was told other parameter set ids. Its IDR pictures get numbers that the source's are not likely to
    have. Its signature, by which decoders choose how to read the packets that stay, is left out for the source's."""

    delimiter = h264.delimiter()

    def __init__(self, source_header: bytes, own_header: bytes) -> None:
        self._own = h264.parse_header(own_header)
        self.sets = (*self._own.sequence_sets, *self._own.picture_sets)
        self.header = h264.parse_header(source_header).joined(self._own).to_bytes()

    def fitted(self, own: Units, is_keyframe: bool, first_of_source: Units) -> Iterator[Unit]:
        yield from (unit for unit in first_of_source if h264.is_user_data(unit))
        for unit in own:
            if is_keyframe and h264.kind_of(unit) == h264.IDR_SLICE:
                yield renumbered(bytes(unit), self._own)
            elif not h264.is_user_data(unit):
                yield unit

    def ending(self, following: Units) -> tuple[bytes, ...]:
        return ()


class HevcJoining:
    """The encoder cannot be told other ids, so its parameter sets and slices get them here. It reorders no pictures:
    all of a sequence have been shown when the next begins."""

    delimiter = hevc.delimiter()

    def __init__(self, source_header: bytes, own_header: bytes) -> None:
        source = hevc.parse_header(source_header)
        self._ids = free_ids(source)
        buffered = max(hevc.sequence_parameters(unit).buffered_frames for unit in source.of_kind(hevc.SPS))
        own = renamed_header(own_header, self._ids, buffered)
        said = {kind for unit in source.of_kind(hevc.PREFIX_SEI) for kind in hevc.message_kinds(unit)}
        self.sets = tuple(unit for kind in (hevc.VPS, hevc.SPS, hevc.PPS) for unit in own.of_kind(kind))
        self.header = source.joined(_without_messages(own, said)).to_bytes()

    def fitted(self, own: Units, is_keyframe: bool, first_of_source: Units) -> Iterator[Unit]:
        for unit in own:
            yield renamed_slice(unit, self._ids) if is_slice(unit) else unit

    def ending(self, following: Units) -> tuple[bytes, ...]:
        """A CRA picture may take up other parameters only where a sequence has ended before it (7.4.2.4.5)."""
        begins_with_cra = any(hevc.kind_of(unit) == hevc.CRA for unit in following)
        return (hevc.end_of_sequence(),) if begins_with_cra else ()


def _without_messages(header: hevc.Header, kinds: set[int]) -> hevc.Header:
    """Without SEI units that hold one of these messages, or anything else that is no parameter set."""
    arrays = []
    for head, found in header.arrays:
        if head & 0x3F == hevc.PREFIX_SEI:
            found = tuple(unit for unit in found if not kinds & set(hevc.message_kinds(unit)))
        if found:
            arrays.append((head, found))
    return hevc.Header(header.fixed, tuple(arrays))
