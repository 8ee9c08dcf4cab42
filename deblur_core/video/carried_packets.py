"""Puts encoded GOPs into the places of the source's own, between packets of the source that stay byte for byte.

Every packet keeps its place in decoding order with its decoding time; an encoded GOP takes over the decoding times of
the packets that it replaces. It knows no container but for whether that stores decoding times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import av
import numpy as np
from av.packet import Packet

from deblur_core.errors import DamagedVideoError, VerificationError
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.h264 import IDR_SLICE, framed, is_user_data, kind_of, parse_header, units
from deblur_core.video.idr_numbers import renumbered
from deblur_core.video.parts import Part, PartPacket, part_packets
from deblur_core.video.shown_packets import shows_a_frame
from deblur_core.video.source import Source, main_video_stream, open_input

# No H.264 decoder holds more frames back; Matroska stores no decoding times, so any that are early enough will do.
_DEEPEST_REORDERING = 16


@dataclass(frozen=True, eq=False)
class CarriedFrames:
    """Which frames of the source stay as they are, and where their packets are read from."""

    stay: np.ndarray
    """bool [N]"""
    source: Source
    """the same file, opened a second time"""


def joined_packets(
    parts: Sequence[Part], carried: CarriedFrames, times: FrameTimes, keeps_dts: bool, name: str
) -> Iterator[Packet]:
    """The packets of the whole video in decoding order, with the source's times. `parts` hold all other frames.

    keeps_dts: whether the container stores decoding times. Raises DamagedVideoError if the source cannot be read,
    VerificationError if the parts or the source do not hold the frames that they should.
    """
    encoded = np.flatnonzero(~carried.stay)
    patches = part_packets(parts, len(encoded), name)
    durations = times.durations()
    for place, (packet, frame) in enumerate(source_packets(carried.source, times, name)):
        if carried.stay[frame]:
            timed = packet
        else:
            patch = next(patches, None)
            if patch is None or patch.shown != patch.decoded:
                raise VerificationError(f"{name}: its parts do not hold its frames in order")
            shown = int(encoded[patch.shown])
            timed = _fitted(patch, signed_by=packet if place == 0 else None)
            timed.pts, timed.dts = int(times.pts[shown]), packet.dts
            timed.duration = int(durations[shown])
        timed.time_base = times.time_base
        if not keeps_dts:
            early = place - _DEEPEST_REORDERING
            timed.dts = int(times.pts[early]) if early >= 0 else int(times.pts[0]) + early * max(int(durations[0]), 1)
        if timed.pts is None or timed.dts is None or timed.dts > timed.pts:
            raise VerificationError(f"{name}: the packet in place {place} would be decoded after it is shown")
        yield timed
    if next(patches, None) is not None:
        raise VerificationError(f"{name}: its parts hold more frames than are to be encoded")


def source_packets(source: Source, times: FrameTimes, name: str) -> Iterator[tuple[Packet, int]]:
    """The packets that show the frames of `times`, in decoding order, each with the number of its frame.

    Raises DamagedVideoError if they cannot be read, VerificationError if they are not as many.
    """
    count = 0
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        codec = stream.codec_context.codec.canonical_name
        for other in container.streams:
            if other.index != stream.index:
                other.discard = av.stream.Discard.all
        try:
            for packet in container.demux(stream):
                frame = _frame_number(packet, times)
                if frame is not None and shows_a_frame(codec, packet):
                    count += 1
                    yield packet, frame
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{name}: cannot be read to its end ({error.strerror})") from error
    if count != times.frame_count:
        raise VerificationError(f"{name}: holds {count} of the {times.frame_count} frames of its index")


def _frame_number(packet: Packet, times: FrameTimes) -> int | None:
    if not packet.size or packet.pts is None:
        return None
    frame = int(np.searchsorted(times.pts, packet.pts))
    return frame if frame < times.frame_count and times.pts[frame] == packet.pts else None


def _fitted(patch: PartPacket, signed_by: Packet | None) -> Packet:
    """The packet without its encoder's signature, by which decoders choose how to read the packets that stay; with
    that of `signed_by`, the first of the source. IDR pictures get numbers that the source's are not likely to have."""
    signatures = [] if signed_by is None else [unit for unit in units(memoryview(signed_by)) if is_user_data(unit)]
    own: list[bytes | memoryview] = [unit for unit in units(memoryview(patch.packet)) if not is_user_data(unit)]
    if patch.packet.is_keyframe:
        header = parse_header(patch.extradata)
        own = [renumbered(bytes(unit), header) if kind_of(unit) == IDR_SLICE else unit for unit in own]
    fitted = Packet(b"".join(framed(unit) for unit in chain(signatures, own)))
    fitted.is_keyframe = patch.packet.is_keyframe
    return fitted
