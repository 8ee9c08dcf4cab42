"""Puts encoded GOPs into the places of the source's own, between packets of the source that stay byte for byte.

Every packet keeps its place in decoding order with its decoding time, but for pictures that start open GOPs
(`in_new_order`); an encoded GOP takes over the decoding times of the packets that it replaces. It knows no container
but for whether that stores decoding times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.packet import Packet

from deblur_core.errors import DamagedVideoError, VerificationError
from deblur_core.video.bits import BitstreamError
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.joining import Joining, joining_of
from deblur_core.video.nal_units import framed, has_start_codes, started, started_units, units
from deblur_core.video.parts import Part, PartPacket, part_packets
from deblur_core.video.picture_metadata import PictureMetadata, with_bytes, with_metadata
from deblur_core.video.probe import VideoInfo
from deblur_core.video.shown_packets import shows_a_frame
from deblur_core.video.source import Source, each_packet, main_video_stream, open_input

# No decoder of H.264 or HEVC holds more frames back; Matroska stores no decoding times: any that are early enough do.
_DEEPEST_REORDERING = 16


@dataclass(frozen=True, eq=False)
class CarriedFrames:
    """Which frames of the source stay as they are, and where their packets are read from."""

    stay: np.ndarray
    """bool [N]"""
    source: Source
    """the same file, opened a second time"""


def joined_packets(
    parts: Sequence[Part],
    carried: CarriedFrames,
    info: VideoInfo,
    times: FrameTimes,
    metadata: Mapping[int, PictureMetadata],
    keeps_dts: bool,
    name: str,
) -> Iterator[Packet]:
    """The packets of the whole video in decoding order, with the source's times. `parts` hold all other frames.

    info: of the source. metadata: what is put around the pictures of frames that were encoded. keeps_dts: whether the
    container stores decoding times. Raises DamagedVideoError if the source cannot be read, VerificationError if the
    parts or the source do not hold the frames that they should, or not as they should.
    """
    encoded = np.flatnonzero(~carried.stay)
    patches = _Patches(part_packets(parts, len(encoded), name), info, name)
    durations = times.durations()
    pace = max(int(durations[0]), 1)
    waiting: Packet | None = None
    try:
        slots = in_new_order(source_packets(carried.source, times, name), carried.stay)
        for place, (packet, frame, dts) in enumerate(slots):
            if carried.stay[frame]:
                timed = packet
                timed.dts = dts
                if waiting is not None:
                    yield patches.ended(waiting, packet)
                waiting = None
            else:
                timed, number = patches.next(packet if place == 0 else None)
                shown = int(encoded[number])
                timed.pts, timed.dts = int(times.pts[shown]), dts
                timed.duration, timed.time_base = int(durations[shown]), times.time_base
                if shown in metadata:
                    timed = with_metadata(timed, metadata[shown])
            timed.time_base = times.time_base
            if not keeps_dts:
                early = place - _DEEPEST_REORDERING
                timed.dts = int(times.pts[early]) if early >= 0 else int(times.pts[0]) + early * pace
            if timed.pts is None or timed.dts is None or timed.dts > timed.pts:
                raise VerificationError(f"{name}: the packet in place {place} would be decoded after it is shown")
            if waiting is not None:
                yield waiting
            if carried.stay[frame]:
                yield timed
            else:
                waiting = timed
    except BitstreamError as error:
        raise VerificationError(f"{name}: its parts do not fit between its own packets: {error}") from error
    if waiting is not None:
        yield waiting
    patches.require_none()


class _Patches:
    """The encoded packets, one after the other, as they stand in the joined stream."""

    def __init__(self, packets: Iterator[PartPacket], info: VideoInfo, name: str) -> None:
        self._packets, self._info, self._name = packets, info, name
        self._has_start_codes = has_start_codes(info.extradata)
        self._units = started_units if self._has_start_codes else units
        self._joining: Joining | None = None

    def next(self, instead_of_first: Packet | None) -> tuple[Packet, int]:
        """The next one, and its place in order of presentation among all encoded frames."""
        patch = next(self._packets, None)
        if patch is None or patch.shown != patch.decoded:
            raise VerificationError(f"{self._name}: its parts do not hold its frames in order")
        if self._joining is None:
            self._joining = joining_of(self._info.codec, self._info.extradata, patch.extradata)
        first = () if instead_of_first is None else self._units(memoryview(instead_of_first))
        is_keyframe = patch.packet.is_keyframe
        fitted = list(self._joining.fitted(units(memoryview(patch.packet)), is_keyframe, first))
        if self._has_start_codes:
            fitted = [self._joining.delimiter, *(self._joining.sets if is_keyframe else ()), *fitted]
        packet = Packet(self._framed(fitted))
        packet.is_keyframe = is_keyframe
        return packet, patch.shown

    def ended(self, packet: Packet, following: Packet) -> Packet:
        """One that `next` gave, where a packet of the source follows."""
        assert self._joining is not None
        ending = self._joining.ending(self._units(memoryview(following)))
        return with_bytes(packet, bytes(packet) + self._framed(ending)) if ending else packet

    def require_none(self) -> None:
        if next(self._packets, None) is not None:
            raise VerificationError(f"{self._name}: its parts hold more frames than are to be encoded")

    def _framed(self, own: Iterable[bytes | memoryview]) -> bytes:
        return b"".join(map(started if self._has_start_codes else framed, own))


def in_new_order(packets: Iterator[tuple[Packet, int]], stay: np.ndarray) -> Iterator[tuple[Packet, int, int | None]]:
    """Packets of the source with the numbers of their frames as they follow each other in the joined stream, each with
    the decoding time of its new place.

    That is their order, but that encoded frames which are shown before the one that stays in front of them (those that
    led in an open GOP) are decoded before it, too: they do not refer to it any more, and it starts anew.
    """
    held: tuple[Packet, int, int | None] | None = None
    for packet, frame in packets:
        dts = packet.dts
        if held is not None:
            kept, shown, place = held
            if not stay[frame] and frame < shown:
                yield packet, frame, place
                held = kept, shown, dts
                continue
            yield held
            held = None
        if stay[frame]:
            held = packet, frame, dts
        else:
            yield packet, frame, dts
    if held is not None:
        yield held


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
            for packet in each_packet(container, stream):
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
