"""Opens a source for reading and says, in the program's own errors, why a file cannot be read as a video.

It knows nothing of frames or indexes. A source is a path or a seekable binary file object (which may be ranged reads of
an object store); a file object stays open and belongs to the caller.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NoReturn

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from deblur_core.errors import DamagedVideoError, DeclinedVideoError, LimitError, NotAVideoError
from deblur_core.video import limits
from deblur_core.video.allowed_media import check_decoder, decoder_options, input_options, other_kind
from deblur_core.video.mp4_boxes import check_boxes

Source = str | os.PathLike[str] | BinaryIO

# A container that starts like one of these is a media file, whatever else is wrong with it.
_SIGNATURES = ((4, b"ftyp"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "), (0, b"FLV"))
_HEAD_BYTES = 512
_JPEG, _JPEG_AFTER_JPEG = b"\xff\xd8\xff", b"\xff\xd9\xff\xd8"
_LARGEST_JPEG_BYTES, _BLOCK_BYTES = 64 << 20, 1 << 18


@contextmanager
def open_input(source: Source, name: str) -> Iterator[InputContainer]:
    """Opens `source` and closes it again; errors of a file object's own reads pass through unchanged.

    The one place where FFmpeg is given a file to read: it gets the open file, never a name, and nothing that the file
    names. Raises NotAVideoError if it is no file of `allowed_media.DEMUXERS`; DamagedVideoError if it is one but cannot
    be made sense of; DeclinedVideoError if it asks for another file; LimitError if its header is beyond a bound.
    """
    with open_source(source, name) as file:
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        check_boxes(file, name)
        if head.startswith(_JPEG) and not _is_followed_by_another(file):
            raise NotAVideoError(f"{name}: is not a video but a picture")
        file.seek(0)
        with _demuxer(_HandedFile(file), head, name) as container:
            limits.check_headers(container, name)
            for stream in container.streams:
                if stream.codec_context is not None:
                    stream.codec_context.options = {**limits.decoder_options(), **decoder_options()}
            yield container


class _HandedFile:
    """A file as FFmpeg is given it. A place that no file has, to which damaged files send it, is an error for FFmpeg
    and not for us; what else goes wrong in reading passes through."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.name = getattr(file, "name", "")
        self.read, self.tell = file.read, file.tell

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OverflowError, ValueError):
            return -errno.EINVAL
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOVERFLOW):
                raise
            return -errno.EINVAL


def _demuxer(file: _HandedFile, head: bytes, name: str) -> InputContainer:
    def refuse(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
        raise DeclinedVideoError(f"{name}: refers to another file, and no other file is ever opened for it")

    options = input_options()
    try:
        return av.open(file, "r", metadata_errors="surrogateescape", container_options=options, io_open=refuse)
    except av.MemoryError as error:
        raise LimitError(
            f"{name}: has more than {limits.LIMITS.streams} streams, or a header for which there is not enough memory; "
            "if it is sound, split it"
        ) from error
    except av.FFmpegError as error:
        kind = other_kind(head)
        if kind is not None:
            raise NotAVideoError(f"{name}: is not a video but {kind}") from error
        if any(head[at : at + len(mark)] == mark for at, mark in _SIGNATURES):
            raise DamagedVideoError(
                f"{name}: starts like a video but cannot be opened ({error.strerror}); it is cut short or overwritten, "
                "fetch it again"
            ) from error
        if isinstance(error, av.ArgumentError):
            raise NotAVideoError(f"{name}: is not a media file of a supported kind; convert it first") from error
        raise NotAVideoError(f"{name}: is not a media file ({error.strerror})") from error


def _is_followed_by_another(file: BinaryIO) -> bool:
    """Whether a JPEG picture is the first of a motion JPEG stream."""
    file.seek(0)
    before = b""
    for _ in range(0, _LARGEST_JPEG_BYTES, _BLOCK_BYTES):
        block = file.read(_BLOCK_BYTES)
        if not block or _JPEG_AFTER_JPEG in before + block:
            return bool(block)
        before = block[-len(_JPEG_AFTER_JPEG) + 1 :]
    return False


@contextmanager
def open_source(source: Source, name: str) -> Iterator[BinaryIO]:
    """The file itself. Raises NotAVideoError for a path that cannot be opened."""
    if not isinstance(source, str | os.PathLike):
        yield source
        return
    with ExitStack() as opened:
        try:
            file = opened.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise NotAVideoError(f"{name}: cannot be opened ({error.strerror})") from error
        yield file


def is_empty(source: Source) -> bool:
    """Whether the source holds no bytes at all."""
    if isinstance(source, str | os.PathLike):
        return Path(source).stat().st_size == 0
    source.seek(0)
    return not source.read(1)


def each_packet(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """The packets of these streams, or of all; the last ones are empty and flush decoders.

    PyAV 17's own `demux` leaks its packet where it is left before its end without being closed.
    """
    with closing(container.demux(*streams)) as packets:  # type: ignore[type-var]
        yield from packets


def each_frame(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames of a stream, decoded."""
    for packet in each_packet(container, stream):
        yield from stream.decode(packet)


def main_video_stream(container: InputContainer, name: str) -> VideoStream:
    """The video stream to restore: the first that is not cover art.

    Not FFmpeg's "best", which goes by bit rate and so may be another stream once this one was encoded again.
    Raises NotAVideoError if there is none, DeclinedVideoError for a decoder that is not allowed.
    """
    for stream in container.streams.video:
        if not is_cover(stream):
            if stream.codec_context is not None:
                check_decoder(stream.codec_context.codec.name, name)
            return stream
    raise NotAVideoError(f"{name}: has no video stream" + (" but cover art" if container.streams.video else ""))


def time_base(stream: av.stream.Stream) -> Fraction:
    """Seconds a tick of the stream's time stamps."""
    return stream.time_base or Fraction(1, av.time_base)


def is_cover(stream: av.stream.Stream) -> bool:
    """Whether a stream is one attached picture rather than a video."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
