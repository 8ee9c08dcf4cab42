"""Turns sound that Matroska cannot hold as it is into sound that it can, without changing a sample: PCM of rare kinds
into FLAC, floating-point PCM of the other byte order into that of its own.

It knows samples and their times, and no other streams.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.source import Source, open_input
from deblur_core.video.streams import copy_stream_metadata

_FLAC_16, _FLAC_24 = ("flac", "s16"), ("flac", "s32")
# FFmpeg's names, with encoder and sample format. What holds more than 24 bits has no place in FLAC.
_ENCODINGS = {
    **dict.fromkeys(("pcm_s8", "pcm_s8_planar", "pcm_alaw", "pcm_mulaw", "pcm_vidc"), _FLAC_16),
    **dict.fromkeys(("pcm_s16le_planar", "pcm_s16be_planar", "pcm_u16le", "pcm_u16be"), _FLAC_16),
    **dict.fromkeys(("pcm_s24le_planar", "pcm_u24le", "pcm_u24be", "pcm_s24daud", "pcm_dvd", "pcm_bluray"), _FLAC_24),
    "pcm_f32be": ("pcm_f32le", "flt"),
    "pcm_f64be": ("pcm_f64le", "dbl"),
}
_MOST_CHANNELS = 8
# Times of packets in ticks of a millisecond may be off by half of one, from each side.
_JITTER = Fraction(1, 1000)
# Samples of all widths as numbers of one, by FFmpeg's name of the packed format.
_WIDENED = {"u8": (np.int32, 128, 24), "s16": (np.int32, 0, 16), "s32": (np.int32, 0, 0)}


def held_as(codec: str, muxer: str) -> str | None:
    """FFmpeg's name of the codec as which `muxer` is given sound of this one; None where it takes it as it is, or where
    nothing can be done."""
    encoding = _ENCODINGS.get(codec) if muxer == "matroska" else None
    return encoding[0] if encoding is not None else None


class SoundEncoder:
    """Encodes one stream of a source anew for a container."""

    def __init__(self, target: OutputContainer, template: AudioStream, name: str) -> None:
        """Adds the stream to `target`. Raises DeclinedVideoError if its samples cannot be kept."""
        context: Any = template.codec_context
        encoder, sample_format = _ENCODINGS[context.codec.canonical_name]
        self._what = f"{name}: its audio stream {template.index} ({context.codec.canonical_name})"
        if context.layout.nb_channels > _MOST_CHANNELS:
            raise DeclinedVideoError(f"{self._what} has more channels than FLAC can hold; remove it first")
        self._rate = context.sample_rate
        self.stream: Any = target.add_stream(encoder, rate=self._rate)
        own: Any = self.stream.codec_context
        own.layout, own.format, own.time_base = context.layout, sample_format, Fraction(1, self._rate)
        copy_stream_metadata(template, self.stream, encoded_again=True)
        self._next: int | None = None

    def encode(self, packet: Packet | None) -> Iterator[Packet]:
        """What becomes of the stream's next packet; None after the last.

        Raises DamagedVideoError, and DeclinedVideoError where the sound has a gap.
        """
        if packet is None:
            yield from self.stream.encode(None)
            return
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{self._what} does not decode ({error.strerror})") from error
        for frame in frames:
            assert isinstance(frame, AudioFrame)
            yield from self.stream.encode(self._timed(frame))

    def _timed(self, frame: AudioFrame) -> AudioFrame:
        """Counted in samples from the first on."""
        at = (
            None if frame.pts is None or frame.time_base is None else Fraction(frame.pts) * frame.time_base * self._rate
        )
        if self._next is None:
            self._next = round(at or 0)
        elif at is not None and abs(at - self._next) > max(1, _JITTER * self._rate):
            seconds = float(Fraction(self._next, self._rate))
            raise DeclinedVideoError(f"{self._what} has a gap at {seconds:.3f} s; close it first")
        frame.pts, frame.time_base = self._next, Fraction(1, self._rate)
        self._next += frame.samples
        return frame


@dataclass(frozen=True)
class Samples:
    """All that a stream of sound holds. layout: FFmpeg's name of the places of its channels, None where nothing is said
    of them; digest: of its samples as numbers, channel after channel within a moment; start_seconds: of the first."""

    count: int
    rate: int
    channels: int
    layout: str | None
    digest: str
    start_seconds: Fraction


def samples_of(source: Source, index: int, name: str) -> Samples:
    """Decodes stream `index` to its end. Raises DamagedVideoError."""
    digest, count, start = hashlib.sha256(), 0, Fraction(0)
    with open_input(source, name) as container:
        stream: Stream = container.streams[index]
        assert isinstance(stream, AudioStream)
        for other in container.streams:
            if other.index != index:
                other.discard = av.stream.Discard.all
        try:
            for frame in container.decode(stream):
                if not count and frame.pts is not None and frame.time_base is not None:
                    start = frame.pts * frame.time_base
                digest.update(_numbers(frame).tobytes())
                count += frame.samples
        except av.FFmpegError as error:
            raise DamagedVideoError(f"{name}: its sound does not decode ({error.strerror})") from error
        context = stream.codec_context
        layout = context.layout
        named = None if layout.name.endswith("channels") else layout.name
        return Samples(count, context.sample_rate, layout.nb_channels, named, digest.hexdigest(), start)


def _numbers(frame: AudioFrame) -> np.ndarray:
    """[samples, channels]: integers scaled to 32 bits, or floats as they are."""
    values: np.ndarray = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels)
    else:
        values = np.ascontiguousarray(values.T)
    widened = _WIDENED.get(frame.format.packed.name)
    if widened is None:
        return values
    dtype, middle, shift = widened
    return (values.astype(dtype) - middle) << shift
