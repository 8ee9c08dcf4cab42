"""Decodes exactly the frames that an index names, from the closed GOP before them.

It knows nothing of segments, blur or colour: frames come out as the decoder makes them, one at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.index import VideoIndex
from deblur_core.video.limits import explained_failure
from deblur_core.video.source import Source, each_packet, main_video_stream, open_input

_SEEK_MARGIN_SECONDS = 5


class _OtherFramesError(Exception):
    """Decoding gave other frames than the index promises."""


class _BoundaryMissedError(Exception):
    """The demuxer came down behind the packet that was asked for."""


def decode_frames(
    source: Source, index: VideoIndex, first_frame: int, stop_frame: int, name: str, threads: int = 1
) -> Iterator[tuple[int, VideoFrame]]:
    """Yields (frame number, frame) for first_frame ≤ number < stop_frame, in order, with the pts of the index.

    Raises DamagedVideoError if the file does not decode to these frames, DeclinedVideoError if the picture size or
    pixel format changes, ValueError if the range is not within the index.
    """
    if not 0 <= first_frame < stop_frame <= index.frame_count:
        raise ValueError(f"{name}: frames {first_frame} to {stop_frame} are not within its {index.frame_count} frames")
    place = _decoding_start(index, first_frame)
    # A keyframe may claim more than it holds (a mere recovery point): then decoding starts at an earlier one.
    for start_place in _earlier_and_earlier(place):
        expected = first_frame
        try:
            for frame in _frames_from(source, index, start_place, first_frame, name, threads):
                _check(frame, expected, index, name)
                yield expected, frame
                expected += 1
                if expected == stop_frame:
                    return
            raise _OtherFramesError(f"the video ends before frame {expected}")
        except _OtherFramesError as error:
            if expected > first_frame or start_place == 0:
                seconds = index.time_seconds(expected)
                raise DamagedVideoError(
                    f"{name}: does not decode to the frames of its index at {seconds:.3f} s: {error}"
                ) from error


def _earlier_and_earlier(place: int) -> Iterator[int]:
    """`place`, then places further and further before it, each step twice as long, down to 0: few tries find one."""
    yield place
    step = 1
    while place > 0:
        place = max(place - step, 0)
        step *= 2
        yield place


def _decoding_start(index: VideoIndex, first_frame: int) -> int:
    """Place among the boundaries: the last before `first_frame`, or the first where a packet cannot be found again."""
    place = bisect_right(index.boundaries, first_frame) - 1
    return 0 if index.made_by_decoding and index.boundary_dts[place] is None else place


def _frames_from(
    source: Source, index: VideoIndex, place: int, first_frame: int, name: str, threads: int
) -> Iterator[VideoFrame]:
    """The frames from `first_frame` on, decoded from boundary number `place`, each with its index's pts."""
    number = index.boundaries[place]
    before: VideoFrame | None = None
    for packet, stream in _packets_from(source, index, place, name, threads):
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as error:
            seconds = index.time_seconds(min(number, index.frame_count - 1))
            raise explained_failure(error, f"frame {number} at {seconds:.3f} s", packet, stream, name) from error
        for frame in frames:
            if index.made_by_decoding:
                if number >= index.frame_count:
                    raise _OtherFramesError("there are more frames than the index has")
                frame.pts = int(index.pts[number])
            elif frame.pts is None or (number == index.boundaries[place] and frame.pts < index.pts[number]):
                continue
            if before is not None:
                _check_same_shape(frame, before, number, name)
            elif place > 0 and frame.is_corrupt:
                raise _OtherFramesError("its keyframe refers to frames before it")
            before = frame
            number += 1
            frame.time_base = index.time_base
            if number > first_frame:
                yield frame


def _packets_from(
    source: Source, index: VideoIndex, place: int, name: str, threads: int
) -> Iterator[tuple[Packet, VideoStream]]:
    """Packets from the boundary's on, with the stream that decodes them; ends with the packet that flushes it."""
    for target in _seek_targets(index, place):
        with open_input(source, name) as container:
            stream = _only_main_stream(container, name, threads)
            try:
                if target is not None:
                    container.seek(target, stream=stream)
            except av.FFmpegError:
                continue
            try:
                packets = each_packet(container, stream)
                if place > 0:
                    yield _find_boundary(packets, index, place), stream
                for packet in packets:
                    yield packet, stream
                return
            except _BoundaryMissedError:
                continue
            except av.FFmpegError as error:
                raise DamagedVideoError(f"{name}: cannot be read ({error.strerror})") from error
    raise DamagedVideoError(
        f"{name}: the keyframe at {index.time_seconds(index.boundaries[place]):.3f} s is no longer there; "
        "the file changed after it was indexed, run again"
    )


def _seek_targets(index: VideoIndex, place: int) -> list[int | None]:
    """Where to seek, best guess first; None reads from the start. Demuxers differ in whether they mean pts or dts."""
    if place == 0:
        return [None]
    pts, dts = int(index.pts[index.boundaries[place]]), index.boundary_dts[place]
    margin = int(_SEEK_MARGIN_SECONDS / index.time_base)
    targets: list[int | None] = [] if index.made_by_decoding else [pts]
    if dts is not None:
        targets += [dts, dts - margin]
    return [*dict.fromkeys(targets), None]


def _only_main_stream(container: InputContainer, name: str, threads: int) -> VideoStream:
    stream = main_video_stream(container, name)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "FRAME" if threads > 1 else "NONE"
    return stream


def _find_boundary(packets: Iterator[Packet], index: VideoIndex, place: int) -> Packet:
    pts, dts = int(index.pts[index.boundaries[place]]), index.boundary_dts[place]
    for packet in packets:
        if packet.is_discard or not packet.size:
            continue
        at, wanted = (packet.dts, dts) if index.made_by_decoding else (packet.pts, pts)
        if at == wanted:
            return packet
        if at is not None and wanted is not None and at > wanted:
            break
    raise _BoundaryMissedError


def _check(frame: VideoFrame, number: int, index: VideoIndex, name: str) -> None:
    if frame.pts != index.pts[number]:
        shown = float((frame.pts or 0) * index.time_base)
        raise _OtherFramesError(f"a frame at {shown:.3f} s came in the place of frame {number}")
    if frame.is_corrupt:
        raise DamagedVideoError(f"{name}: frame {number} at {index.time_seconds(number):.3f} s is damaged")


def _check_same_shape(frame: VideoFrame, before: VideoFrame, number: int, name: str) -> None:
    shapes = [(each.width, each.height, each.format.name) for each in (before, frame)]
    if shapes[0] != shapes[1]:
        (width, height, pixel_format), (new_width, new_height, new_format) = shapes
        raise DeclinedVideoError(
            f"{name}: changes from {width}x{height} {pixel_format} to {new_width}x{new_height} {new_format} at frame "
            f"{number}; split it there"
        )
