"""Opens a source for reading and says, in the program's own errors, why a file cannot be read as a video.

It knows nothing of frames or indexes. A source is a path or a seekable binary file object (which may be ranged reads of
an object store); a file object stays open and belongs to the caller.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from deblur_core.errors import DamagedVideoError, NotAVideoError

Source = str | os.PathLike[str] | BinaryIO

# A container that starts like one of these is a media file, whatever else is wrong with it.
_SIGNATURES = ((4, b"ftyp"), (0, b"\x1a\x45\xdf\xa3"), (0, b"RIFF"), (0, b"FLV"))


@contextmanager
def open_input(source: Source, name: str) -> Iterator[InputContainer]:
    """Opens `source` and closes it again; errors of a file object's own reads pass through unchanged.

    Raises NotAVideoError if no demuxer knows the file, DamagedVideoError if one does but cannot make sense of it.
    """
    target: str | BinaryIO
    if isinstance(source, str | os.PathLike):
        target = os.fspath(source)
    else:
        source.seek(0)
        target = source
    try:
        container = av.open(target, "r", metadata_errors="surrogateescape")
    except av.FFmpegError as error:
        if _starts_like_media(source):
            raise DamagedVideoError(
                f"{name}: starts like a video but cannot be opened ({error.strerror}); it is cut short or overwritten, "
                "fetch it again"
            ) from error
        raise NotAVideoError(f"{name}: is not a media file ({error.strerror})") from error
    with container:
        yield container


def is_empty(source: Source) -> bool:
    """Whether the source holds no bytes at all."""
    if isinstance(source, str | os.PathLike):
        return Path(source).stat().st_size == 0
    source.seek(0)
    return not source.read(1)


def main_video_stream(container: InputContainer, name: str) -> VideoStream:
    """The video stream to restore: the first that is not cover art.

    Not FFmpeg's "best", which goes by bit rate and so may be another stream once this one was encoded again.
    Raises NotAVideoError if there is none.
    """
    for stream in container.streams.video:
        if not is_cover(stream):
            return stream
    raise NotAVideoError(f"{name}: has no video stream" + (" but cover art" if container.streams.video else ""))


def time_base(stream: av.stream.Stream) -> Fraction:
    """Seconds a tick of the stream's time stamps."""
    return stream.time_base or Fraction(1, av.time_base)


def is_cover(stream: av.stream.Stream) -> bool:
    """Whether a stream is one attached picture rather than a video."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _starts_like_media(source: Source) -> bool:
    if isinstance(source, str | os.PathLike):
        if not Path(source).is_file():
            return False
        with Path(source).open("rb") as file:
            head = file.read(16)
    else:
        source.seek(0)
        head = source.read(16)
    return any(head[at : at + len(mark)] == mark for at, mark in _SIGNATURES)
