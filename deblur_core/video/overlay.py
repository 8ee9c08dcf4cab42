"""The file in which the restored frames of one segment travel: lossless FFV1 of the video's own samples.

Matroska, one frame a packet, each with its frame number in the whole video as its time stamp (in milliseconds, so it is
exact). An overlay without frames is a file without bytes. It knows nothing of times, sound or which frames were asked
for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.video.frame import VideoFrame

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.pixel_format import ffv1_name, plain_name, to_layout
from deblur_core.video.preservation import LEAST_SIDE
from deblur_core.video.probe import VideoInfo
from deblur_core.video.source import Source, each_frame, is_empty, open_input

_NUMBER_TICK = Fraction(1, 1000)


class OverlayWriter:
    """Writes an overlay file; use it in a `with` block. An overlay without frames is allowed."""

    def __init__(self, path: str | os.PathLike[str], info: VideoInfo) -> None:
        """Raises DeclinedVideoError if FFV1 does not store the pixel format of `info`."""
        self._pixel_format = ffv1_name(info.pixel_format)
        if self._pixel_format not in {each.name for each in av.Codec("ffv1", "w").video_formats or []}:
            raise DeclinedVideoError(f"restored frames in {info.pixel_format} cannot be stored without loss")
        self._path = Path(path)
        self._info = info
        self._container: av.container.OutputContainer | None = None
        self._stream: Any = None
        self._last_number = -1

    def add(self, frame_number: int, frame: VideoFrame) -> None:
        """Stores `frame` as frame `frame_number` of the video; numbers must rise. The frame's pts is changed."""
        if frame_number <= self._last_number:
            raise ValueError(f"frame {frame_number} follows frame {self._last_number}: numbers must rise")
        if plain_name(frame.format.name) != plain_name(self._pixel_format):
            raise ValueError(f"frame {frame_number} is {frame.format.name}, the overlay {self._pixel_format}")
        plain = to_layout(frame, self._pixel_format)
        plain.pts, plain.time_base = frame_number, _NUMBER_TICK
        plain.pict_type = 0
        if self._container is None:
            self._container = self._open()
        self._mux(self._stream.encode(plain))
        self._last_number = frame_number

    def close(self) -> None:
        """Finishes the file; without it the file is not readable."""
        if self._container is None:
            self._path.write_bytes(b"")
        else:
            self._mux(self._stream.encode(None))
            self._container.close()

    def _mux(self, packets: list[av.Packet]) -> None:
        assert self._container is not None
        for packet in packets:
            packet.duration = 1
            self._container.mux(packet)

    def _open(self) -> av.container.OutputContainer:
        info = self._info
        container = av.open(str(self._path), "w", format="matroska", options={"fflags": "+bitexact"})
        self._stream = container.add_stream(
            "ffv1", rate=25, width=info.width, height=info.height, pix_fmt=self._pixel_format
        )
        context = self._stream.codec_context
        context.time_base = _NUMBER_TICK
        context.gop_size = 1
        context.thread_count = 1
        context.color_range = 2 if info.pixel_format.startswith("yuvj") else info.color_range
        context.colorspace, context.color_primaries = info.colorspace, info.color_primaries
        context.color_trc = info.color_trc
        self._stream.options = {"level": "3", "slicecrc": "1"}
        if min(info.width, info.height) < LEAST_SIDE:
            # FFmpeg's own number of slices does not fit into small pictures.
            self._stream.options |= {"slices": "1"}
        return container

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._container is not None:
            self._container.close()


def read_overlay(source: Source) -> Iterator[tuple[int, VideoFrame]]:
    """Yields (frame number, frame) in rising order, exactly as they were added.

    Frames come back in the layout of the same samples that FFV1 stores: those of yuvj… videos as yuv… with the
    full-range tag, 8-bit RGB as bgr0. Raises DamagedVideoError.
    """
    if is_empty(source):
        return
    with open_input(source, "overlay") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        # The header was completed when the file was closed, so it tells where the last frame must be.
        last_announced = round(Fraction(container.duration or 0, av.time_base) / _NUMBER_TICK) - 1
        number = -1
        try:
            for frame in each_frame(container, stream):
                number = round((frame.pts or 0) * (frame.time_base or _NUMBER_TICK) / _NUMBER_TICK)
                yield number, frame
        except av.FFmpegError as error:
            raise DamagedVideoError(f"an overlay of restored frames does not decode ({error.strerror})") from error
        if number < last_announced:
            raise DamagedVideoError(f"an overlay of restored frames is cut short: frame {last_announced} is missing")
