"""Compares the streams of a rebuilt file that are not its restored video with those of its source: every packet, byte
for byte and in time, every attachment and every chapter.

It knows nothing of pictures or tags.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from typing import Any

import numpy as np
from av.container import InputContainer

from deblur_core.errors import VerificationError
from deblur_core.video.adts import AAC, AacConfig, adts_header, config_of
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.lossless_sound import held_as, samples_of
from deblur_core.video.source import Source, main_video_stream, open_input, time_base
from deblur_core.video.streams import carried_streams, read_packets

LARGEST_OFFSET_CHANGE = Fraction(1, 1000)
"""Seconds that sound and picture may move against each other: two times rounded to Matroska's tick"""
_DIGEST_BYTES = 8
_CUT_ANYWHERE = "pcm_"
"""Sound of which a packet may begin with any sample, as MP4 and MOV have it"""
# Containers that tell no duration of the last packet; every time is compared by itself.
_SLACK_SECONDS = Fraction(1)


@dataclass(frozen=True)
class StreamFindings:
    """A stream whose packets are those of the source. index: in the source; size_bytes: of the packets or the attached
    file."""

    index: int
    kind: str
    codec: str
    packets: int
    size_bytes: int


@dataclass(frozen=True)
class ConvertedSound:
    """A stream of sound that the container holds in another form, with every sample equal. index: in the source;
    before, after: codecs."""

    index: int
    before: str
    after: str
    samples: int


@dataclass(frozen=True)
class OtherStreams:
    """streams: those whose packets are the source's; sounds: those with equal samples; pairs: index of each in the
    source and in the result; offset_change_seconds: the most that the start of any of them moved against the picture;
    rewritten: streams that the muxer makes anew from what it is told (the text of chapters, the time code of MP4 and
    MOV)."""

    streams: tuple[StreamFindings, ...]
    pairs: tuple[tuple[int, int], ...]
    chapters: int
    offset_change_seconds: float
    rewritten: tuple[str, ...]
    sounds: tuple[ConvertedSound, ...] = ()


@dataclass
class _Trace:
    """The packets of one stream, a few bytes each."""

    index: int
    kind: str
    codec: str
    language: str
    tick: Fraction
    file: tuple[str, str, bytes] | None
    size_bytes: int = 0
    end: Fraction = Fraction(0)
    digests: array[int] = field(default_factory=lambda: array("Q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    content: blake2b = field(default_factory=blake2b)
    extradata: bytes = b""
    bare: array[int] = field(default_factory=lambda: array("Q"))
    """digests of the packets of AAC without headers of their own, of those that have one"""
    configs: set[AacConfig] = field(default_factory=set)
    """what these headers say"""

    @property
    def described(self) -> str:
        return self.described_as(None)

    def described_as(self, codec: str | None) -> str:
        """With another codec than its own, if one is given."""
        return " ".join(part for part in (self.kind, codec or self.codec, self.language) if part)

    @property
    def start(self) -> Fraction | None:
        """Seconds."""
        return min(self.times) * self.tick if self.times else None


def compare_other_streams(
    source: Source, result: Source, times: FrameTimes, first_shown: Fraction, muxer: str, name: str
) -> OtherStreams:
    """Compares all streams that are carried over into FFmpeg's `muxer`, and how long the file says that it lasts.

    times: of the frames that the result must have; first_shown: when the first of them is, in seconds. Raises
    VerificationError naming the first difference.
    """
    with open_input(source, name) as original, open_input(result, name) as rebuilt:
        before, after = _traces(original, muxer, name), _traces(rebuilt, muxer, name)
        chapters = _compare_chapters(original, rebuilt, name)
        announced = rebuilt.duration
        rewritten = _rewritten(original, muxer, name)
    held = [trace.described_as(held_as(trace.codec, muxer)) for trace in before]
    if held != [trace.described for trace in after]:
        raise VerificationError(
            f"{name}: its other streams were {[trace.described for trace in before]} and would be "
            f"{[trace.described for trace in after]}"
        )
    offset, sounds = Fraction(0), []
    for left, right in zip(before, after, strict=True):
        if left.codec == right.codec:
            _compare(left, right, name)
        else:
            sounds.append(_compare_samples(source, result, left, right, name))
        offset = max(offset, _offset_change(left, right, first_shown, times, name))
    _compare_duration(announced, times, before, name)
    encoded = {sound.index for sound in sounds}
    found = tuple(
        StreamFindings(each.index, each.kind, each.codec, len(each.times), each.size_bytes)
        for each in before
        if each.index not in encoded
    )
    indices = tuple((left.index, right.index) for left, right in zip(before, after, strict=True))
    return OtherStreams(found, indices, chapters, float(offset), rewritten, tuple(sounds))


def _rewritten(original: InputContainer, muxer: str, name: str) -> tuple[str, ...]:
    main = main_video_stream(original, name)
    kept = {main.index, *(stream.index for stream in carried_streams(original, main, muxer))}
    return tuple(f"{stream.type} stream {stream.index}" for stream in original.streams if stream.index not in kept)


def _traces(container: InputContainer, muxer: str, name: str) -> list[_Trace]:
    main = main_video_stream(container, name)
    streams = carried_streams(container, main, muxer)
    traces = {stream.index: _trace(stream) for stream in streams}
    for packet in read_packets(container, streams, name):
        trace = traces[packet.stream_index]
        trace.digests.append(_digest(memoryview(packet)))
        at = packet.pts if packet.pts is not None else packet.dts or 0
        trace.times.append(at)
        trace.size_bytes += packet.size
        if trace.codec.startswith(_CUT_ANYWHERE):
            trace.sizes.append(packet.size)
            trace.content.update(memoryview(packet))
        header = adts_header(memoryview(packet)) if trace.codec == AAC else None
        if header is not None and header.blocks == 1:
            trace.bare.append(_digest(memoryview(packet)[header.size_bytes :]))
            trace.configs.add(header.config)
        trace.end = max(trace.end, (at + (packet.duration or 0)) * trace.tick)
    # Muxers leave out a track without packets; there is nothing in it to lose.
    return [trace for trace in traces.values() if trace.file is not None or len(trace.times)]


def _digest(data: memoryview) -> int:
    return int.from_bytes(blake2b(data, digest_size=_DIGEST_BYTES).digest(), "big")


def _trace(stream: Any) -> _Trace:
    codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""
    language = stream.metadata.get("language", "und")
    file = (stream.name, stream.mimetype, bytes(stream.data or b"")) if stream.type == "attachment" else None
    trace = _Trace(stream.index, stream.type, codec, language if language != "und" else "", time_base(stream), file)
    trace.size_bytes = len(file[2]) if file is not None else 0
    trace.extradata = bytes((stream.codec_context.extradata if stream.codec_context is not None else None) or b"")
    return trace


def _compare(before: _Trace, after: _Trace, name: str) -> None:
    what = f"{name}: its {before.described}"
    if before.file != after.file:
        raise VerificationError(f"{what} would be another file than {before.file[0] if before.file else 'before'}")
    if before.digests != after.digests and before.codec.startswith(_CUT_ANYWHERE):
        _compare_uncut(before, after, what)
        return
    if len(before.digests) != len(after.digests):
        raise VerificationError(f"{what} had {len(before.digests)} packets and would have {len(after.digests)}")
    pairs = zip(*_comparable(before, after, what), before.times, after.times, strict=True)
    for number, (left, right, left_time, right_time) in enumerate(pairs):
        if left != right:
            raise VerificationError(f"{what} differs in the bytes of packet {number}")
        shift = abs(left_time * before.tick - right_time * after.tick)
        if shift > after.tick:
            raise VerificationError(f"{what} would be {float(shift):.6f} s off at packet {number}")


def _comparable(before: _Trace, after: _Trace, what: str) -> tuple[array[int], array[int]]:
    """Digests of the packets of both; where only one has headers in its packets, of what lies behind them, and then
    they must say what the other one says once."""
    framed = [len(each.bare) == len(each.digests) > 0 for each in (before, after)]
    if framed[0] == framed[1]:
        return before.digests, after.digests
    with_headers, without = (before, after) if framed[0] else (after, before)
    if with_headers.configs != {config_of(without.extradata)}:
        raise VerificationError(f"{what} would be described as another kind of AAC")
    return (before.bare, after.digests) if framed[0] else (before.digests, after.bare)


def _compare_uncut(before: _Trace, after: _Trace, what: str) -> None:
    """Compares bytes and times of sound that containers cut into packets as they please."""
    if before.content.digest() != after.content.digest():
        raise VerificationError(f"{what} differs in its bytes")
    starts = [np.cumsum([0, *each.sizes[:-1]]) for each in (before, after)]
    seconds = [np.array(each.times, np.float64) * float(each.tick) for each in (before, after)]
    shifts = np.abs(np.interp(starts[0], starts[1], seconds[1]) - seconds[0])
    # What lies behind the last start in the other file has no time of its own there.
    shifts = shifts[starts[0] <= starts[1][-1]]
    if shifts.max() > float(after.tick + before.tick):
        raise VerificationError(f"{what} would be {shifts.max():.6f} s off at packet {int(shifts.argmax())}")


def _compare_samples(source: Source, result: Source, before: _Trace, after: _Trace, name: str) -> ConvertedSound:
    """Decodes both."""
    what = f"{name}: its {before.described}"
    left, right = samples_of(source, before.index, name), samples_of(result, after.index, name)
    if abs(left.start_seconds - right.start_seconds) > after.tick:
        raise VerificationError(f"{what} would be {float(right.start_seconds - left.start_seconds):.6f} s off")
    facts = [(each.count, each.rate, each.channels, each.digest) for each in (left, right)]
    # PCM in Matroska says how many channels there are and not where they belong.
    places = {left.layout, right.layout} - {None}
    if facts[0] != facts[1] or len(places) > 1:
        raise VerificationError(f"{what} would have other samples as {after.codec}")
    return ConvertedSound(before.index, before.codec, after.codec, left.count)


def _offset_change(before: _Trace, after: _Trace, first: Fraction, times: FrameTimes, name: str) -> Fraction:
    """How far the start of a stream moves against the first frame, which is shown at `first` in the result."""
    if before.start is None or after.start is None:
        return Fraction(0)
    change = abs((after.start - first) - (before.start - int(times.pts[0]) * times.time_base))
    if change > LARGEST_OFFSET_CHANGE:
        raise VerificationError(
            f"{name}: its {before.described} would move by {float(change):.6f} s against the picture"
        )
    return change


def _compare_duration(announced: int | None, times: FrameTimes, others: list[_Trace], name: str) -> None:
    """What the file says of its own length, in FFmpeg's microseconds, must not be less than its video nor more than all
    of its streams."""
    if announced is None:
        return
    lasts = Fraction(announced, 1_000_000)
    if lasts < times.duration - Fraction(1, 1000):
        raise VerificationError(
            f"{name}: lasts {float(lasts):.3f} s, the video of its source {times.duration_seconds:.3f} s"
        )
    start = int(times.pts[0]) * times.time_base
    end = max([start + times.duration, *(trace.end for trace in others)])
    first = min([Fraction(0), start, *(trace.start for trace in others if trace.start is not None)])
    if lasts > end - first + _SLACK_SECONDS:
        raise VerificationError(f"{name}: would last {float(lasts):.3f} s, its source ends at {float(end):.3f} s")


def _compare_chapters(original: InputContainer, rebuilt: InputContainer, name: str) -> int:
    """Number of chapters; their starts, ends and titles are equal to the coarser of the two ticks."""
    before, after = ([_chapter(each) for each in container.chapters()] for container in (original, rebuilt))
    if len(before) != len(after):
        raise VerificationError(f"{name}: had {len(before)} chapters and would have {len(after)}")
    for number, (left, right) in enumerate(zip(before, after, strict=True)):
        tick = max(left.tick, right.tick)
        if abs(left.start - right.start) > tick or abs(left.end - right.end) > tick:
            raise VerificationError(f"{name}: its chapter {number} would be moved")
        if left.title != right.title:
            raise VerificationError(f"{name}: the title of its chapter {number} would be changed")
    return len(before)


@dataclass(frozen=True)
class _Chapter:
    """Times in seconds."""

    start: Fraction
    end: Fraction
    tick: Fraction
    title: str


def _chapter(described: Any) -> _Chapter:
    tick = Fraction(described["time_base"] or 1)
    return _Chapter(described["start"] * tick, described["end"] * tick, tick, described["metadata"].get("title", ""))
