"""Reads the encoded parts of a video one after another, as packets that know which frame they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, cast

from av.container import InputContainer
from av.packet import Packet

from deblur_core.errors import VerificationError
from deblur_core.video.encode import ORDINAL_TICK
from deblur_core.video.source import Source, each_packet, open_input

Part = Source | Callable[[], BinaryIO]
"""A part file: a path, an open file, or a function that opens one (so that no two need be open at once)"""


@dataclass(frozen=True)
class PartPacket:
    """A packet with its times still to be set. Numbers count through all parts."""

    packet: Packet
    shown: int
    """its place in order of presentation"""
    decoded: int
    """its place in decoding order"""
    reorder_depth: int
    extradata: bytes
    """of all parts"""


def part_packets(parts: Sequence[Part], expected: int, name: str) -> Iterator[PartPacket]:
    """The packets of all parts in decoding order.

    Raises VerificationError if the parts differ in their parameters or hold other than `expected` frames.
    """
    first, depth, extradata = 0, 0, None
    for number, part in enumerate(parts):
        with open_part(part) as container:
            stream = container.streams.video[0]
            if number == 0:
                depth, extradata = stream.codec_context.reorder_depth, stream.codec_context.extradata
            elif stream.codec_context.extradata != extradata:
                raise VerificationError(f"{name}: part {number} was encoded with other parameters than part 0")
            count = 0
            for packet in each_packet(container, stream):
                if not packet.size:
                    continue
                shown = first + round(Fraction(packet.pts or 0) * packet.time_base / ORDINAL_TICK)
                if shown >= expected:
                    raise VerificationError(f"{name}: its parts hold more than the {expected} frames of the video")
                yield PartPacket(packet, shown, first + count, depth, extradata or b"")
                count += 1
        first += count
    if first != expected:
        raise VerificationError(f"{name}: its parts hold {first} frames, the video {expected}")


@contextmanager
def open_part(part: Part) -> Iterator[InputContainer]:
    """Opens a part and closes what was opened for it."""
    opened = part() if callable(part) else part
    try:
        with open_input(opened, "an encoded part") as container:
            yield container
    finally:
        if callable(part):
            cast("BinaryIO", opened).close()
