"""Reads back what a video file holds: times, pixels and packets, by PyAV alone."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def decoded_frames(path: Path | str, stream: int = 0) -> list[av.VideoFrame]:
    """Every frame of the `stream`-th video stream, decoded from the start."""
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[stream]))


def frame_times(path: Path | str) -> list[Fraction]:
    """When each frame is shown, in exact seconds."""
    return [Fraction(frame.pts or 0) * (frame.time_base or 0) for frame in decoded_frames(path)]


def frame_hash(frame: av.VideoFrame) -> str:
    """A hash of the picture alone, without the padding of its rows."""
    digest = hashlib.md5(usedforsecurity=False)
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        bytes_a_sample = (frame.format.components[0].bits + 7) // 8
        digest.update(np.ascontiguousarray(rows[:, : plane.width * bytes_a_sample]).tobytes())
    return digest.hexdigest()


def frame_hashes(path: Path | str) -> list[str]:
    return [frame_hash(frame) for frame in decoded_frames(path)]


def stream_kinds(path: Path | str) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def packet_hashes(path: Path | str, kind: str, number: int = 0) -> list[str]:
    """Hashes of the packets of the `number`-th stream of a kind (video, audio, subtitle, data), in file order."""
    return [hashlib.md5(bytes(packet), usedforsecurity=False).hexdigest() for packet in _packets(path, kind, number)]


def packet_times(path: Path | str, kind: str, number: int = 0) -> list[Fraction]:
    """Presentation times of the packets of one stream, in exact seconds."""
    return [Fraction(packet.pts or 0) * packet.time_base for packet in _packets(path, kind, number)]


def psnr(frame: av.VideoFrame, other: av.VideoFrame) -> float:
    """PSNR in dB over all planes of two 8-bit frames of one format."""
    errors = [
        (
            np.frombuffer(memoryview(a), np.uint8).astype(np.float64).reshape(a.height, -1)[:, : a.width]
            - np.frombuffer(memoryview(b), np.uint8).astype(np.float64).reshape(b.height, -1)[:, : b.width]
        ).ravel()
        for a, b in zip(frame.planes, other.planes, strict=True)
    ]
    mean_square = float(np.mean(np.concatenate(errors) ** 2))
    return float("inf") if mean_square == 0 else 10 * np.log10(255**2 / mean_square)


def _packets(path: Path | str, kind: str, number: int) -> list[av.Packet]:
    with av.open(str(path)) as container:
        stream = [each for each in container.streams if each.type == kind][number]
        return [packet for packet in container.demux(stream) if packet.size]
