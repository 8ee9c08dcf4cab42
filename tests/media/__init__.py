"""Clips that the tests make for themselves, and ways to read back what a video file holds.

Nothing here knows the program under test: it goes through PyAV alone.
"""

from tests.media.clips import ColourTags, encode_frames, make_clip, moving_texture, remux, truncate
from tests.media.readback import (
    decoded_frames,
    frame_hash,
    frame_hashes,
    frame_times,
    packet_hashes,
    packet_times,
    psnr,
    stream_kinds,
)

__all__ = [
    "ColourTags",
    "decoded_frames",
    "encode_frames",
    "frame_hash",
    "frame_hashes",
    "frame_times",
    "make_clip",
    "moving_texture",
    "packet_hashes",
    "packet_times",
    "psnr",
    "remux",
    "stream_kinds",
    "truncate",
]
