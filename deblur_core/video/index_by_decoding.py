"""What only a decoder can tell about the frames of a video: their order where packets carry no presentation times.

Used by the index for AVI, raw streams and MPEG program streams, and for the first pictures of recordings that begin in
the middle of a GOP. It knows nothing of segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from deblur_core.errors import DamagedVideoError
from deblur_core.video.source import Source, main_video_stream, open_input, time_base

# Only here are decoding times stored with the packets; elsewhere FFmpeg makes them up, after a seek differently.
_CONTAINERS_WITH_DECODING_TIMES = {"avi"}
_DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """One entry a frame, in the order in which the decoder gives them."""

    pts: np.ndarray
    is_keyframe: np.ndarray
    time_base: Fraction
    rate: Fraction
    boundaries: tuple[int, ...]
    boundary_dts: tuple[int | None, ...]
    size_bytes: int


def frames_by_decoding(source: Source, name: str) -> DecodedFrames:
    """Decodes the whole video once. Raises NotAVideoError, DamagedVideoError."""
    packet_dts: list[int | None] = []
    packet_of_frame: list[int] = []
    frame_pts: list[int | None] = []
    keyframes: list[bool] = []
    size_bytes = 0
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        stream.codec_context.copy_opaque = True
        tick_seconds = time_base(stream)
        can_seek = container.format.name in _CONTAINERS_WITH_DECODING_TIMES
        rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
        try:
            for packet in container.demux(stream):
                packet.opaque = len(packet_dts)
                if packet.size:
                    packet_dts.append(packet.dts)
                    size_bytes += packet.size
                for frame in packet.decode():
                    packet_of_frame.append(int(str(frame.opaque)))
                    frame_pts.append(frame.pts)
                    keyframes.append(frame.key_frame)
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{name}: frame {len(frame_pts)} does not decode ({error.strerror})") from error
    if not frame_pts:
        raise DamagedVideoError(f"{name}: its video stream holds no frame")
    boundaries = _closed_starts(packet_of_frame, keyframes)
    return DecodedFrames(
        pts=_times(packet_dts, packet_of_frame, frame_pts, rate, tick_seconds),
        is_keyframe=np.array(keyframes, bool),
        time_base=tick_seconds,
        rate=rate,
        boundaries=boundaries,
        boundary_dts=tuple(packet_dts[packet_of_frame[number]] if can_seek else None for number in boundaries),
        size_bytes=size_bytes,
    )


def leading_frames(source: Source, name: str, stop_pts: int) -> np.ndarray:
    """int64: pts of the frames that decoding from the start of the file gives up to `stop_pts`."""
    found: list[int] = []
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        try:
            for frame in container.decode(stream):
                if frame.pts is not None and not frame.is_corrupt:
                    found.append(frame.pts)
                    if frame.pts >= stop_pts:
                        break
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{name}: its first frames do not decode ({error.strerror})") from error
    return np.array(found, np.int64)


def _closed_starts(packet_of_frame: list[int], keyframes: list[bool]) -> tuple[int, ...]:
    """A keyframe starts a closed GOP if as many frames come before it in decoding order as in presentation order."""
    rank = {packet: place for place, packet in enumerate(sorted(packet_of_frame))}
    starts = [
        number
        for number, (packet, is_key) in enumerate(zip(packet_of_frame, keyframes, strict=True))
        if is_key and rank[packet] == number
    ]
    return tuple(starts) if starts[:1] == [0] else (0, *starts)


def _times(
    packet_dts: list[int | None],
    packet_of_frame: list[int],
    frame_pts: list[int | None],
    rate: Fraction,
    tick_seconds: Fraction,
) -> np.ndarray:
    """Shows the n-th frame at the n-th of the decoding times, which is what an AVI means; a stream without any times
    runs at its nominal rate."""
    dts = [packet_dts[packet] for packet in packet_of_frame]
    known = sorted(each for each in dts if each is not None)
    if len(known) == len(dts):
        return np.array(known, np.int64)
    if all(each is not None for each in frame_pts):
        return np.array(frame_pts, np.int64)
    return np.array([round(number / (rate * tick_seconds)) for number in range(len(frame_pts))], np.int64)
