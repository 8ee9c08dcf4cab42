"""Writes FFmpeg's framemd5 text, version 2: the MD5 of every decoded frame, which any later decoder must give again.

A frame is hashed as FFmpeg hashes raw video: its planes one after another, rows from the top, without padding, samples
deeper than 8 bits as two bytes, the lower first. The fourth byte of bgr0, which no picture has, is 0 as FFV1's decoder
makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame

from deblur_core.errors import VerificationError
from deblur_core.video.decode import decode_frames
from deblur_core.video.index import VideoIndex
from deblur_core.video.pixel_format import ffv1_name, to_layout
from deblur_core.video.probe import VideoInfo
from deblur_core.video.source import Source, each_frame, main_video_stream, open_input, time_base

_PACKED_BYTES = {"bgr0": 4, "bgra": 4}


def checksum_keys(published: str) -> tuple[str, str]:
    """Names of the texts of the source's frames and of the published video's, beside the published video."""
    return f"{published}.source.framemd5", f"{published}.framemd5"


class FrameChecksums:
    """Takes the frames of one video, in order of presentation, and hands on the lines of its text."""

    def __init__(
        self,
        pixel_format: str,
        time_base: Fraction,
        sample_aspect_ratio: Fraction | None,
        take: Callable[[str], object],
    ) -> None:
        """pixel_format: the layout of the samples that is hashed; time_base: of the frames' pts; take: is given each
        line with its end."""
        self._pixel_format, self._time_base, self._shape = pixel_format, time_base, sample_aspect_ratio
        self._take = take
        self._is_first = True

    def see(self, frame: VideoFrame) -> None:
        """The next frame. Raises ValueError if it does not hold the samples of the layout."""
        if self._is_first:
            for line in _header(frame, self._time_base, self._shape):
                self._take(line)
            self._is_first = False
        data = raw_bytes(to_layout(frame, self._pixel_format))
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        pts = frame.pts if frame.pts is not None else 0
        self._take(f"0, {pts:10d}, {pts:10d}, {frame.duration or 0:8d}, {len(data):8d}, {digest}\n")


class ExpectedText:
    """A text against which the lines of another are held."""

    def __init__(self, text: str, name: str) -> None:
        self._lines, self._name = iter(text.splitlines(keepends=True)), name
        self._count = 0

    def take(self, line: str) -> None:
        """The next line. Raises VerificationError if it is not that of the text."""
        self._count += 1
        told = next(self._lines, "nothing")
        if told != line:
            raise VerificationError(
                f"{self._name} says {told.strip()!r} in line {self._count}, where the video now gives {line.strip()!r}"
            )

    def finish(self) -> None:
        """Raises VerificationError if the text goes on."""
        if next(self._lines, None) is not None:
            raise VerificationError(f"{self._name} has more lines than the video has frames")


def framemd5_lines(
    frames: Iterable[VideoFrame], pixel_format: str, time_base: Fraction, sample_aspect_ratio: Fraction | None
) -> Iterator[str]:
    """The lines of the text, each with its end. frames: all of one video, in order of presentation, with pts in
    `time_base`; pixel_format: the layout of their samples that is hashed.

    Raises ValueError if a frame does not hold the samples of `pixel_format`, or there is no frame.
    """
    lines: list[str] = []
    checksums = FrameChecksums(pixel_format, time_base, sample_aspect_ratio, lines.append)
    for frame in frames:
        lines.clear()
        checksums.see(frame)
        yield from lines
    if not lines:
        raise ValueError("a video without frames has no checksums")


def source_lines(source: Source, info: VideoInfo, index: VideoIndex, name: str) -> Iterator[str]:
    """The text of the video that `info` and `index` describe, in the layout in which FFV1 stores it.

    Raises DamagedVideoError if it does not decode to its end.
    """
    frames = (frame for _, frame in decode_frames(source, index, 0, index.frame_count, name))
    return framemd5_lines(frames, ffv1_name(info.pixel_format), index.time_base, info.sample_aspect_ratio)


def result_lines(result: Source, info: VideoInfo, name: str) -> Iterator[str]:
    """The text of a published video; info: of its source. Raises VerificationError if it does not decode to its end."""
    tick = result_tick(result, name)
    return framemd5_lines(_frames(result, name), ffv1_name(info.pixel_format), tick, info.sample_aspect_ratio)


def result_tick(result: Source, name: str) -> Fraction:
    """The time base of a published video."""
    with open_input(result, name) as container:
        return time_base(main_video_stream(container, name))


def _frames(source: Source, name: str) -> Iterator[VideoFrame]:
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        try:
            yield from each_frame(container, stream)
        except av.FFmpegError as error:
            raise VerificationError(f"{name}: does not decode to its end ({error.strerror})") from error


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
