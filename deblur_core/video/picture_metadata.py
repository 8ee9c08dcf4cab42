"""Carries HDR10+ and Dolby Vision over: the messages with which an HEVC source describes each of its pictures.

HDR10+ (SMPTE ST 2094-40, an SEI message of ITU-T T.35) stands before a picture, a Dolby Vision RPU (a NAL unit of
type 62) after it. Both describe the brightness of the scene, which restoring a blurred frame does not change. This file
knows how HEVC is framed in MP4 and Matroska, and nothing of what the messages say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.packet import Packet

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.index import VideoIndex
from deblur_core.video.source import Source, each_packet, main_video_stream, open_input

_PREFIX_SEI = 39
_DOLBY_RPU = 62
_DOLBY_ENHANCEMENT_LAYER = 63
_T35_PAYLOAD = 4
# Country (United States), provider, provider's own code: the start of every HDR10+ message.
_HDR10_PLUS_START = bytes.fromhex("b5003c0001")
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class PictureMetadata:
    """NAL units of one picture, each with its length before it, as they stand in a packet of the result."""

    before: bytes
    after: bytes


def read_picture_metadata(source: Source, index: VideoIndex, name: str) -> dict[int, PictureMetadata]:
    """What each frame that has any carries, by frame number.

    Raises DamagedVideoError, and DeclinedVideoError for the two-layer kind of Dolby Vision.
    """
    found = {}
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        extradata = stream.codec_context.extradata or b""
        length_bytes = (extradata[21] & 3) + 1 if len(extradata) > 21 and extradata[0] == 1 else _LENGTH_BYTES
        for other in container.streams:
            if other.index != stream.index:
                other.discard = av.stream.Discard.all
        try:
            for packet in each_packet(container, stream):
                frame = _frame_number(packet, index)
                if frame is not None:
                    metadata = _metadata(bytes(packet), length_bytes, name)
                    if metadata.before or metadata.after:
                        found[frame] = metadata
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{name}: cannot be read to its end ({error.strerror})") from error
    return found


def with_metadata(packet: Packet, metadata: PictureMetadata) -> Packet:
    """The packet with a picture's metadata around the picture."""
    return with_bytes(packet, metadata.before + bytes(packet) + metadata.after)


def with_bytes(packet: Packet, data: bytes) -> Packet:
    """Other bytes with the times of `packet`."""
    joined = Packet(data)
    joined.pts, joined.dts = packet.pts, packet.dts
    if packet.time_base is not None:
        joined.time_base = packet.time_base
    joined.duration, joined.is_keyframe = packet.duration, packet.is_keyframe
    return joined


def _frame_number(packet: Packet, index: VideoIndex) -> int | None:
    if not packet.size or packet.pts is None:
        return None
    frame = int(np.searchsorted(index.pts, packet.pts))
    return frame if frame < index.frame_count and index.pts[frame] == packet.pts else None


def _metadata(data: bytes, length_bytes: int, name: str) -> PictureMetadata:
    before = after = b""
    for unit in _units(data, length_bytes):
        kind = unit[0] >> 1 & 0x3F if unit else 0
        framed = len(unit).to_bytes(_LENGTH_BYTES, "big") + unit
        if kind == _DOLBY_ENHANCEMENT_LAYER:
            raise DeclinedVideoError(f"{name}: has a Dolby Vision enhancement layer, which fits no other pictures")
        if kind == _DOLBY_RPU:
            after += framed
        elif kind == _PREFIX_SEI and unit[2] == _T35_PAYLOAD and unit[4:9] == _HDR10_PLUS_START:
            before += framed
    return PictureMetadata(before, after)


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    at = 0
    while at + length_bytes <= len(data):
        length = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        yield data[at : at + length]
        at += length
