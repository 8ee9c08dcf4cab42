"""Writes FFmpeg's framemd5 text, version 2: the MD5 of every decoded frame, which any later decoder must give again.

A frame is hashed as FFmpeg hashes raw video: its planes one after another, rows from the top, without padding, samples
deeper than 8 bits as two bytes, the lower first. The fourth byte of bgr0, which no picture has, is 0 as FFV1's decoder
makes it. It knows nothing of files that hold frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.video.pixel_format import to_layout

_PACKED_BYTES = {"bgr0": 4, "bgra": 4}


def framemd5_lines(
    frames: Iterable[VideoFrame], pixel_format: str, time_base: Fraction, sample_aspect_ratio: Fraction | None
) -> Iterator[str]:
    """The lines of the text, each with its end. frames: all of one video, in order of presentation, with pts in
    `time_base`; pixel_format: the layout of their samples that is hashed.

    Raises ValueError if a frame does not hold the samples of `pixel_format`, or there is no frame.
    """
    header = True
    for frame in frames:
        if header:
            yield from _header(frame, time_base, sample_aspect_ratio)
            header = False
        data = raw_bytes(to_layout(frame, pixel_format))
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        pts = frame.pts if frame.pts is not None else 0
        yield f"0, {pts:10d}, {pts:10d}, {frame.duration or 0:8d}, {len(data):8d}, {digest}\n"
    if header:
        raise ValueError("a video without frames has no checksums")


def raw_bytes(frame: VideoFrame) -> bytes:
    """The samples of a frame as raw video has them (FFmpeg's av_image_copy_to_buffer with alignment 1)."""
    rows = []
    for plane in frame.planes:
        sample_bytes = _PACKED_BYTES.get(frame.format.name) or (frame.format.components[0].bits + 7) // 8
        padded = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        row = padded[:, : plane.width * sample_bytes].copy()
        if frame.format.name == "bgr0":
            row[:, 3::4] = 0
        rows.append(row.tobytes())
    return b"".join(rows)


def _header(frame: VideoFrame, time_base: Fraction, sample_aspect_ratio: Fraction | None) -> Iterator[str]:
    shape = sample_aspect_ratio or Fraction(0)
    yield "#format: frame checksums\n"
    yield "#version: 2\n"
    yield "#hash: MD5\n"
    yield f"#tb 0: {time_base.numerator}/{time_base.denominator}\n"
    yield "#media_type 0: video\n"
    yield "#codec_id 0: rawvideo\n"
    yield f"#dimensions 0: {frame.width}x{frame.height}\n"
    yield f"#sar 0: {shape.numerator}/{shape.denominator}\n"
    yield "#stream#, dts,        pts, duration,     size, hash\n"
