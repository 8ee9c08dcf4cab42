"""Which packets show a frame: VP8 and VP9 streams hold packets that only update a reference picture.

It knows the first bits of a VP8 and a VP9 frame header and nothing else.
"""

from __future__ import annotations

from av.packet import Packet

_VP8_SHOW_FRAME = 0x10
_VP9_SUPERFRAME_MARKER = 0b110


def shows_a_frame(codec: str, packet: Packet) -> bool:
    """Whether decoding `packet` (of FFmpeg's codec name `codec`) gives a frame that is to be shown."""
    if packet.size == 0 or packet.is_discard:
        return False
    if codec == "vp8":
        return bool(memoryview(packet)[0] & _VP8_SHOW_FRAME)
    if codec == "vp9":
        data = memoryview(packet)
        return data[-1] >> 5 == _VP9_SUPERFRAME_MARKER or _vp9_shows(data[0])
    return True


def _vp9_shows(first_byte: int) -> bool:
    """Section 6.2 of the VP9 bitstream: marker (2), profile (2, and 1 reserved in profile 3), show_existing_frame,
    frame_type, show_frame; with the reserved bit all of them still fit the first byte."""
    bits = [first_byte >> shift & 1 for shift in range(7, -1, -1)]
    at = 5 if bits[2] and bits[3] else 4
    show_existing, show = bits[at], bits[at + 2]
    return bool(show_existing or show)
