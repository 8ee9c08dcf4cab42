"""What only a decoder can tell about the frames of a video: their order where packets carry no presentation times.

Used by the index for AVI, raw streams and MPEG program streams, and for the first pictures of recordings that begin in
the middle of a GOP. It knows nothing of segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.limits import Meter, explained_failure
from deblur_core.video.source import Source, each_frame, each_packet, main_video_stream, open_input, time_base

# Only here are decoding times stored with the packets; elsewhere FFmpeg makes them up, after a seek differently.
_CONTAINERS_WITH_DECODING_TIMES = {"avi"}
# Here FFmpeg's guesses at presentation times that are missing are at times wrong, and there is nothing better.
_CONTAINERS_WITH_SOME_TIMES = {"mpeg"}
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
    """Decodes the whole video once.

    Raises NotAVideoError, DamagedVideoError; DeclinedVideoError where the times that are known contradict each other.
    """
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
        meter = Meter(name, container.size)
        rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
        packet = None
        try:
            for packet in each_packet(container, stream):
                meter.see(packet)
                packet.opaque = len(packet_dts)
                if packet.size:
                    packet_dts.append(packet.dts)
                    size_bytes += packet.size
                for frame in packet.decode():
                    packet_of_frame.append(int(str(frame.opaque)))
                    frame_pts.append(frame.pts)
                    keyframes.append(frame.key_frame)
                meter.count_frames(len(frame_pts))
        except av.FFmpegError as error:
            raise explained_failure(error, f"frame {len(frame_pts)}", packet, stream, name) from error
        context = stream.codec_context
        meter.check_pictures(len(frame_pts), context.width * context.height, 0.0)
        depth = stream.codec_context.reorder_depth
    if not frame_pts:
        raise DamagedVideoError(f"{name}: its video stream holds no frame")
    if container.format.name in _CONTAINERS_WITH_SOME_TIMES and not _rise(frame_pts):
        raise DeclinedVideoError(
            f"{name}: stores times for some of its frames only, and those do not tell when the others are shown; remux "
            "it to MP4 or Matroska first"
        )
    boundaries = _closed_starts(packet_of_frame, keyframes)
    return DecodedFrames(
        pts=_times(packet_dts, packet_of_frame, frame_pts, depth, rate, tick_seconds),
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
            for frame in each_frame(container, stream):
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
    reorder_depth: int,
    rate: Fraction,
    tick_seconds: Fraction,
) -> np.ndarray:
    """The decoder's own times if they rise. Else, where frames are reordered and only decoding times are stored, the
    n-th frame is shown at the n-th of those, as much later as the decoder holds the first one back: without that, sound
    that starts with the pictures would follow them. Frames between others that have times are spread between those; a
    stream without any times runs at its nominal rate."""
    if None not in frame_pts and _rise(frame_pts):
        return np.array(frame_pts, np.int64)
    dts = [packet_dts[packet] for packet in packet_of_frame]
    known = np.array(sorted(each for each in dts if each is not None), np.int64)
    if len(known) == len(dts):
        most = reorder_depth * int(np.median(np.diff(known))) if len(known) > 1 else 0
        return known + max(0, min((frame_pts[0] or 0) - int(known[0]), most))
    numbers = np.arange(len(frame_pts))
    timed = np.array([number for number in numbers if frame_pts[number] is not None], np.int64)
    stamps = np.array([frame_pts[number] for number in timed], np.float64)
    step = float(1 / (rate * tick_seconds))
    if not len(timed) or not _rise(frame_pts):
        return np.rint(numbers * step).astype(np.int64)
    times = np.interp(numbers, timed, stamps)
    times += np.minimum(numbers - timed[0], 0) * step + np.maximum(numbers - timed[-1], 0) * step
    return np.rint(times).astype(np.int64)


def _rise(stamps: list[int | None]) -> bool:
    """Whether those that are known do."""
    known = [stamp for stamp in stamps if stamp is not None]
    return all(earlier < later for earlier, later in pairwise(known))
