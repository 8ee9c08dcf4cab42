"""What a file may ask for at most: how large, how long, how many. All bounds of the decoding side lie here.

A sound video is far below each of them; a file beyond one was made to exhaust whoever opens it, or is broken. Time has
no bound here: whoever runs a call watches its clock.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from deblur_core.errors import DamagedVideoError, LimitError


@dataclass(frozen=True)
class MediaLimits:
    """Bounds for one file."""

    pixels: int = 1 << 26
    """of one picture: twice 8K UHD; about 100 MB as 8-bit 4:2:0, of which a decoder may hold 17"""
    frames: int = 1 << 24
    """of the main video: a week at 25 frames a second"""
    duration_seconds: int = 1 << 22
    """from the first frame to the last: 48 days"""
    streams: int = 256
    chapters: int = 1 << 14
    tag_bytes: int = 16 << 20
    """keys and values of all tags of the file and its streams"""
    attachment_bytes: int = 512 << 20
    """all attachments together: they are held in memory"""
    packet_bytes_free: int = 64 << 20
    packet_bytes_per_file_byte: int = 64
    """packets may be larger than the file by this factor and `packet_bytes_free`: Matroska compresses subtitles"""
    pixels_free: int = 1 << 36
    """decoded pixels that any file may have: 22 minutes of 1080p25"""
    pixels_per_file_byte: int = 1 << 20
    """decoded pixels for each byte of the file beyond those: a still 4K picture needs about 30 bytes a frame"""


LIMITS = MediaLimits()

# libavutil/imgutils.c, av_image_check_size2
_PICTURE_SIZE = re.compile(r"Picture size (\d+)x(\d+)")


def check_picture_size(width: int, height: int, name: str) -> None:
    """Raises LimitError for pictures of too many pixels."""
    if width * height > LIMITS.pixels:
        raise LimitError(
            f"{name}: its pictures are {width}x{height}, more than the {LIMITS.pixels} pixels that one may have; make "
            "them smaller first"
        )


def check_headers(container: InputContainer, name: str) -> None:
    """Raises LimitError where what a file announces of itself goes beyond a bound."""
    _at_most(len(container.streams), LIMITS.streams, "streams", name)
    for stream in container.streams:
        if isinstance(stream, VideoStream) and stream.codec_context is not None:
            check_picture_size(stream.codec_context.width, stream.codec_context.height, name)
    _at_most(len(container.chapters()), LIMITS.chapters, "chapters", name)
    tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    _at_most(sum(_tag_bytes(each) for each in tags), LIMITS.tag_bytes, "bytes of tags", name)
    attachments = (stream.data for stream in container.streams if isinstance(stream, AttachmentStream))
    _at_most(sum(len(data or b"") for data in attachments), LIMITS.attachment_bytes, "bytes of attachments", name)


class Meter:
    """Watches the packets of a file go by."""

    def __init__(self, name: str, file_bytes: int) -> None:
        """file_bytes: the length of the file that they come from."""
        self._name, self._file_bytes = name, file_bytes
        self._packets = self._packet_bytes = 0
        self._most_bytes = LIMITS.packet_bytes_free + LIMITS.packet_bytes_per_file_byte * file_bytes

    def see(self, packet: Packet) -> None:
        """Raises LimitError for one packet too many."""
        self._packets += 1
        self._packet_bytes += packet.size
        # Each takes a byte of the file at least, in its own bytes or in what describes it.
        if self._packets > self._file_bytes:
            raise LimitError(
                f"{self._name}: holds more packets than its {self._file_bytes} bytes can describe; it was made to "
                "exhaust who reads it"
            )
        if self._packet_bytes > self._most_bytes:
            raise LimitError(
                f"{self._name}: its {self._file_bytes} bytes unpack to more than {self._most_bytes}; it was made to "
                "exhaust who reads it"
            )

    def count_frames(self, frames: int) -> None:
        """Raises LimitError for one frame too many. frames: of the main video, so far."""
        _at_most(frames, LIMITS.frames, "frames", self._name)

    def check_pictures(self, frames: int, pixels: int, seconds: float) -> None:
        """Raises LimitError where the whole video lasts too long, or decodes to more than its bytes can mean.

        pixels: of one frame; seconds: from the first to the last."""
        _at_most(seconds, LIMITS.duration_seconds, "seconds", self._name)
        if frames * pixels > LIMITS.pixels_free + LIMITS.pixels_per_file_byte * self._file_bytes:
            raise LimitError(
                f"{self._name}: its {self._file_bytes} bytes decode to {frames} pictures of {pixels} pixels; it was "
                "made to exhaust who decodes it"
            )


def explained_failure(
    error: av.FFmpegError, what: str, packet: Packet | None, stream: VideoStream, name: str
) -> DamagedVideoError | LimitError:
    """The error for a `packet` of `stream` that did not decode; None where not even a packet came. what: which frame it
    is, as a person would say it."""
    size = _refused_picture_size(packet, stream) if packet is not None else None
    if size is not None:
        return LimitError(
            f"{name}: {what} is {size[0]}x{size[1]}, more than the {LIMITS.pixels} pixels that a picture may have"
        )
    if not stream.codec_context.width:
        return DamagedVideoError(f"{name}: {what} does not decode: its size is missing, or beyond any decoder")
    return DamagedVideoError(f"{name}: {what} does not decode ({error.strerror})")


def _refused_picture_size(packet: Packet, stream: VideoStream) -> tuple[int, int] | None:
    """The (width, height) for which the decoder refused the packet; None if it had another reason.

    FFmpeg says so only in its log. So a decoder apart, working in this thread alone, is given the packet again."""
    context = av.CodecContext.create(stream.codec_context.codec.name, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = stream.codec_context.extradata
    context.thread_count = 1
    context.options = decoder_options()
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    # Or what an earlier decoder said last is left out here, or added.
    av.logging.set_skip_repeated(False)
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said, suppress(av.FFmpegError):
            context.decode(packet)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
    sizes = (_PICTURE_SIZE.match(message) for _, _, message in said)
    return next(((int(found[1]), int(found[2])) for found in sizes if found), None)


def decoder_options() -> dict[str, str]:
    """For every decoder: it refuses larger pictures before it has memory for them."""
    return {"max_pixels": str(LIMITS.pixels)}


def _at_most(count: float, most: int, what: str, name: str) -> None:
    if count > most:
        raise LimitError(f"{name}: has {count:.0f} {what}, more than the {most} that a file may have; split it first")


def _tag_bytes(tags: dict[str, str]) -> int:
    return sum(len(key) + len(value) for key, value in tags.items())
