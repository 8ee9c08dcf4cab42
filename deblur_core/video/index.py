"""The index of a video: when each frame is shown and where decoding can start, and its segments.

Reads every packet once and decodes nothing, unless the container gives no usable times. It does not know what the
frames show, nor how many bytes a segment has.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.independent_gops import NOWHERE, GopWatch, clean_cuts
from deblur_core.video.index_by_decoding import frames_by_decoding, leading_frames
from deblur_core.video.limits import Meter
from deblur_core.video.mp4_boxes import check_boxes
from deblur_core.video.probe import VideoInfo
from deblur_core.video.shown_packets import shows_a_frame
from deblur_core.video.source import Source, each_packet, main_video_stream, open_input, open_source, time_base

# Raw streams and AVI store no presentation times; what FFmpeg guesses for them is wrong where frames are reordered.
_CONTAINERS_WITHOUT_TIMES = {"avi", "h264", "hevc", "m4v", "mpegvideo", "vvc", "mpeg", "cavsvideo", "dv"}
_CONTAINERS_WITH_TRUE_DURATION = {"matroska,webm", "avi"}
_TRUNCATION_SECONDS = 0.5
# Where packets of these can be put beside those of another encoder.
_CONTAINERS_OF_UNITS = ("mov,", "matroska", "mpegts")
_CODECS_OF_UNITS = ("h264", "hevc")


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoIndex(FrameTimes):
    """When each frame is shown, and where decoding can start."""

    is_keyframe: np.ndarray
    """bool [N]"""
    boundaries: tuple[int, ...]
    """frame numbers at which a closed GOP starts, rising, the first is 0: decoding can start there and needs nothing
    from before, and nothing after needs to be shown before it"""
    boundary_dts: tuple[int | None, ...]
    """decoding time stamp of the packet at each boundary; None where the container stores none"""
    size_bytes: int
    """of the packets of the video stream"""
    made_by_decoding: bool = False
    """the container gave no presentation times: frames are matched by their order, not by their pts"""
    gop: np.ndarray | None = None
    """int32 [N]: the number of the independent GOP (`independent_gops`) that each frame's packet may stay with, -1 for
    packets that may not; None where none may, and for other codecs and containers"""
    is_cut: np.ndarray | None = None
    """bool [N]: whether the packets can be cut before this frame, so that those of earlier frames all come first in
    decoding order; None with `gop`"""
    refers_back: np.ndarray | None = None
    """bool [N]: whether its packet may need the GOP before its own (`independent_gops`); None with `gop`"""
    gop_hindrance: str | None = None
    """why none may, where the packets themselves are the reason"""


@dataclass(frozen=True)
class Segment:
    """Whole closed GOPs of one video: the unit of work."""

    number: int
    first_frame: int
    frame_count: int

    @property
    def stop_frame(self) -> int:
        """One past the last frame."""
        return self.first_frame + self.frame_count


def plan_segments(index: VideoIndex, max_frames: int = 300) -> tuple[Segment, ...]:
    """Cuts the video at closed GOPs into segments of at most `max_frames`; a longer GOP stays whole, and a last segment
    of under a tenth joins the one before: frames are judged by each other.

    Where some of the GOPs are independent too, it cuts there if it can: a GOP cut in two cannot stay as it is.
    """
    if max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, not {max_frames}")
    cuts, whole = [0], 0
    ends = [*index.boundaries[1:], index.frame_count]
    for start, end in zip(index.boundaries, ends, strict=True):
        if _starts_independent_gop(index, start):
            whole = start
        while end - cuts[-1] > max_frames and start > cuts[-1]:
            cuts.append(whole if whole > cuts[-1] else start)
    if len(cuts) > 1 and 10 * (index.frame_count - cuts[-1]) < max_frames:
        cuts.pop()
    cuts.append(index.frame_count)
    return tuple(Segment(number, start, stop - start) for number, (start, stop) in enumerate(pairwise(cuts)))


def _starts_independent_gop(index: VideoIndex, frame: int) -> bool:
    return (
        index.gop is not None
        and index.gop[frame] != NOWHERE
        and (not frame or index.gop[frame] != index.gop[frame - 1])
    )


def index_video(source: Source, name: str, info: VideoInfo | None = None) -> VideoIndex:
    """Indexes the main video stream of `source`, or the one that `info` names, by reading all its packets.

    Raises NotAVideoError; DamagedVideoError where packets are damaged or the file holds less than it announces;
    DeclinedVideoError where the times of its frames do not rise; LimitError where there are too many.
    """
    with open_source(source, name) as file:
        check_boxes(file, name, every_fragment=True)
    with open_input(source, name) as container:
        stream = (
            cast("VideoStream", container.streams[info.stream_index]) if info else main_video_stream(container, name)
        )
        if container.format.name not in _CONTAINERS_WITHOUT_TIMES:
            table = _PacketTable.read(container, stream, name)
            if table.has_times:
                kept = _without_undecodable_lead(table, source, name)
                return kept.to_index(stream, name)
    return _index_by_decoding(source, name)


class _PacketTable:
    """The packets of the video stream that show a frame, in decoding order."""

    def __init__(self) -> None:
        self.pts, self.dts, self.durations = array("q"), array("q"), array("q")
        self.is_keyframe = bytearray()
        self.has_times = True
        self.has_dts = True
        self.size_bytes = 0
        self.watch: GopWatch | None = None
        self.kept: tuple[np.ndarray, np.ndarray] | None = None
        """pts of all packets that the watch saw, and which of them are in the table, where some are not"""

    @classmethod
    def read(cls, container: InputContainer, stream: VideoStream, name: str) -> _PacketTable:
        table = cls()
        counts = dict.fromkeys(range(len(container.streams)), 0)
        meter = Meter(name, container.size)
        end_seconds = 0.0
        codec = stream.codec_context.codec.canonical_name
        if codec in _CODECS_OF_UNITS and container.format.name.startswith(_CONTAINERS_OF_UNITS):
            table.watch = GopWatch(codec, stream.codec_context.extradata)
        for packet in _checked_packets(container, meter, name):
            counts[packet.stream_index] += 1
            if packet.pts is not None:
                end_seconds = max(end_seconds, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index:
                table.size_bytes += packet.size
                shown = shows_a_frame(codec, packet)
                if shown:
                    table._add(packet)
                    meter.count_frames(len(table.pts))
                if table.watch is not None:
                    table.watch.see(packet, shown)
        if not len(table.pts):
            raise DamagedVideoError(f"{name}: its video stream holds no frame")
        _check_complete(container, counts, end_seconds, name)
        if table.has_times:
            span = max(table.pts) - min(table.pts)
            context = stream.codec_context
            meter.check_pictures(len(table.pts), context.width * context.height, float(span * time_base(stream)))
        return table

    def _add(self, packet: Packet) -> None:
        if packet.pts is None:
            self.has_times = False
        if packet.dts is None:
            self.has_dts = False
        self.pts.append(packet.pts or 0)
        self.dts.append(packet.dts or 0)
        self.durations.append(packet.duration or 0)
        self.is_keyframe.append(packet.is_keyframe)

    def select(self, keep: np.ndarray) -> _PacketTable:
        """The table of only those packets for which `keep` (bool, one a packet) is true."""
        table = _PacketTable()
        table.has_dts, table.size_bytes = self.has_dts, self.size_bytes
        table.watch, table.kept = self.watch, (np.frombuffer(self.pts, np.int64), keep)
        for column in ("pts", "dts", "durations"):
            kept = np.frombuffer(getattr(self, column), np.int64)[keep]
            getattr(table, column).frombytes(kept.tobytes())
        table.is_keyframe = bytearray(np.frombuffer(self.is_keyframe, np.uint8)[keep].tobytes())
        return table

    def to_index(self, stream: VideoStream, name: str) -> VideoIndex:
        pts = np.frombuffer(self.pts, np.int64)
        keyframe = np.frombuffer(self.is_keyframe, np.uint8).astype(bool)
        order = np.argsort(pts, kind="stable")
        shown = pts[order]
        _require_rising(shown, time_base(stream), name)
        boundaries = closed_gop_starts(pts, keyframe)
        seen = self.kept or (pts,)
        gop = self.watch.numbers(*seen) if self.watch is not None else None
        return VideoIndex(
            pts=shown,
            is_keyframe=keyframe[order],
            time_base=time_base(stream),
            boundaries=boundaries,
            boundary_dts=tuple(int(self.dts[number]) if self.has_dts else None for number in boundaries),
            last_duration=_last_duration(stream, shown, self.durations[order[-1]]),
            size_bytes=self.size_bytes,
            gop=gop,
            is_cut=clean_cuts(pts) if gop is not None else None,
            refers_back=self.watch.refers_back(*seen) if self.watch is not None and gop is not None else None,
            gop_hindrance=self.watch.hindrance if self.watch is not None else None,
        )


def closed_gop_starts(pts: np.ndarray, is_keyframe: np.ndarray) -> tuple[int, ...]:
    """Where closed GOPs start, from packets in decoding order (pts int64 [N], is_keyframe bool [N]).

    At a keyframe K whose predecessors all have smaller and whose successors all have greater pts, K's place in decoding
    order is also its frame number. Number 0 always counts: there is nothing before it.
    """
    latest_before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(pts)[:-1]])
    earliest_from = np.minimum.accumulate(pts[::-1])[::-1]
    closed = is_keyframe & (latest_before < pts) & (earliest_from >= pts)
    closed[0] = True
    return tuple(int(number) for number in np.flatnonzero(closed))


def _checked_packets(container: InputContainer, meter: Meter, name: str) -> Iterator[Packet]:
    last_seconds = 0.0
    try:
        for packet in each_packet(container):
            meter.see(packet)
            if packet.pts is not None:
                last_seconds = float(packet.pts * packet.time_base)
            if packet.is_corrupt:
                raise DamagedVideoError(
                    f"{name}: stream {packet.stream_index} is damaged or cut short at {last_seconds:.3f} s"
                )
            if packet.size:
                yield packet
    except av.FFmpegError as error:
        raise DamagedVideoError(f"{name}: cannot be read beyond {last_seconds:.3f} s ({error.strerror})") from error


def _check_complete(container: InputContainer, counts: dict[int, int], end_seconds: float, name: str) -> None:
    """A file that announces more than it holds was cut short."""
    if container.format.name.startswith("mov,"):
        for stream in container.streams:
            announced = 0 if stream.discard == av.stream.Discard.all else len(stream.index_entries)
            if counts[stream.index] < announced:
                raise DamagedVideoError(
                    f"{name}: is cut short: stream {stream.index} announces {announced} packets and holds "
                    f"{counts[stream.index]}"
                )
    if container.format.name in _CONTAINERS_WITH_TRUE_DURATION and container.duration:
        # Some writers of Matroska count from 0, others from the first frame; from 0 is never the later end of the two.
        announced_seconds = container.duration / av.time_base
        if end_seconds < announced_seconds - _TRUNCATION_SECONDS:
            raise DamagedVideoError(
                f"{name}: is cut short: it announces {announced_seconds:.3f} s and ends at {end_seconds:.3f} s"
            )


def _without_undecodable_lead(table: _PacketTable, source: Source, name: str) -> _PacketTable:
    """Leaves out the pictures around the first keyframe that refer to what came before the file began.

    Recordings cut from a stream start with them; the decoder drops them, so they are not frames of this video.
    """
    pts = np.frombuffer(table.pts, np.int64)
    first_key = max(table.is_keyframe.find(1), 0)
    doubtful = pts < pts[first_key]
    doubtful[:first_key] = True
    if not doubtful.any():
        return table
    decoded = leading_frames(source, name, stop_pts=int(max(pts[first_key], pts[doubtful].max())))
    return table.select(~doubtful | np.isin(pts, decoded))


def _require_rising(pts: np.ndarray, tick_seconds: Fraction, name: str) -> None:
    steps = np.diff(pts)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0))
        raise DeclinedVideoError(
            f"{name}: frames {at} and {at + 1} are both shown at {float(int(pts[at]) * tick_seconds):.3f} s; "
            "remux it with distinct times first"
        )


def _last_duration(stream: VideoStream, pts: np.ndarray, packet_duration: int) -> int:
    """MP4's packet durations are gaps in decoding order, so the end of the stream is the better witness; edit lists
    make some streams end much later than their last frame, which does not make that frame longer."""
    if stream.duration is not None and stream.start_time is not None:
        to_end = stream.start_time + stream.duration - int(pts[-1])
        if 0 < to_end <= max([packet_duration, *np.diff(pts)[-1000:]]):
            return to_end
    if packet_duration > 0:
        return packet_duration
    if len(pts) > 1:
        return int(np.median(np.diff(pts)))
    rate = stream.average_rate or stream.guessed_rate
    return max(round(1 / (rate * time_base(stream))), 1) if rate else 1


def _index_by_decoding(source: Source, name: str) -> VideoIndex:
    frames = frames_by_decoding(source, name)
    _require_rising(frames.pts, frames.time_base, name)
    steps = np.diff(frames.pts)
    return VideoIndex(
        pts=frames.pts,
        is_keyframe=frames.is_keyframe,
        time_base=frames.time_base,
        boundaries=frames.boundaries,
        boundary_dts=frames.boundary_dts,
        last_duration=int(np.median(steps)) if len(steps) else max(round(1 / (frames.rate * frames.time_base)), 1),
        size_bytes=frames.size_bytes,
        made_by_decoding=True,
    )
