"""Reads the headers that AAC has in transport and program streams in front of every packet (ADTS, ISO/IEC 14496-3,
1.A.2.2), and what other containers tell instead, once (AudioSpecificConfig, 1.6.2.1).

It knows nothing of containers or of the sound itself.
"""

from __future__ import annotations

from dataclasses import dataclass

AAC = "aac"
"""FFmpeg's name of the codec"""
_SYNC, _SYNC_BITS = 0xFFF0, 0xFFF6  # the layer, which is always 0, lies behind the sync word
_BYTES, _CHECKSUM_BYTES = 7, 2


@dataclass(frozen=True)
class AacConfig:
    """What a decoder must know. object_type: 2 is AAC-LC; rate: the number of the sampling rate in the standard's
    table; channels: the number of the channel layout, 0 where the first packet tells it."""

    object_type: int
    rate: int
    channels: int


@dataclass(frozen=True)
class AdtsHeader:
    """size_bytes: of the header with its checksum; blocks: raw data blocks of the packet."""

    config: AacConfig
    size_bytes: int
    blocks: int


def adts_header(packet: bytes | memoryview) -> AdtsHeader | None:
    """The header of a packet of AAC; None where it has none that fits.

    The packet may be shorter than it says: recordings end amid one.
    """
    start = bytes(packet[:_BYTES])
    if len(start) < _BYTES or int.from_bytes(start[:2], "big") & _SYNC_BITS != _SYNC:
        return None
    bits = int.from_bytes(start, "big")
    if bits >> 13 & 0x1FFF < len(packet):
        return None
    config = AacConfig((bits >> 38 & 0x3) + 1, bits >> 34 & 0xF, bits >> 30 & 0x7)
    size = _BYTES if start[1] & 1 else _BYTES + _CHECKSUM_BYTES
    return AdtsHeader(config, size, (bits & 0x3) + 1) if len(packet) > size else None


def config_of(extradata: bytes) -> AacConfig | None:
    """What an AudioSpecificConfig says; None of what ADTS cannot say either: other object types and free rates."""
    if len(extradata) < 2:
        return None
    bits = int.from_bytes(extradata[:2], "big")
    config = AacConfig(bits >> 11, bits >> 7 & 0xF, bits >> 3 & 0xF)
    return config if 1 <= config.object_type <= 4 and config.rate < 0xF and config.channels <= 7 else None


def why_headers_cannot_go(packet: bytes | memoryview, first: AacConfig | None) -> str | None:
    """Why a packet of ADTS cannot be stored without its header, with what the first one says (None for that one itself)
    told once for all; None where it can."""
    header = adts_header(packet)
    if header is None:
        return "has a packet without a header of its own"
    if header.blocks > 1:
        return "has several blocks of sound in one packet"
    if not header.config.channels:
        return "tells its channels amid its packets"
    if first is not None and header.config != first:
        return "changes its rate or its channels"
    return None
