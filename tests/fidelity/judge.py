"""Compares a source with its result by PyAV alone: nothing here knows the program that made it.

What differs is either a fault or a conversion that the container forces; both are told in words.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np

_MATROSKA_TICK = Fraction(1, 1000)
_UNTOUCHED_DB = 38.0
_RESTORED_DB = 30.0
# Written by muxers and encoders about themselves.
_MUXER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_STREAM_KEYS = {"number_of_frames", "number_of_bytes", "bps", "vendor_id", "encoder", "duration"}
_MP4_DEFAULTS = {
    "handler_name": {"VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler", "TimeCodeHandler"},
    "language": {"und"},
}
# What a decoder or an encoder says about its own work, not about the picture.
_OWN_WORK = {"SEI_UNREGISTERED", "MOTION_VECTORS", "VIDEO_ENC_PARAMS", "VIDEO_HINT", "REGIONS_OF_INTEREST"}
# Fields of MPEG-2 headers that no other codec has.
_MPEG2_ONLY = {"GOP_TIMECODE": "time codes of MPEG-2 GOPs", "PANSCAN": "pan-scan window of MPEG-2"}
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DEGREES = 1e-4
_WITHOUT_TIMES = {"avi", "h264", "hevc", "m4v", "mpegvideo", "mjpeg"}


@dataclass
class Judgement:
    """faults: what is wrong; conversions: what is another way of saying the same."""

    faults: list[str] = field(default_factory=list)
    conversions: list[str] = field(default_factory=list)
    frames: int = 0
    identical: int = 0
    lowest_db: float = float("inf")
    """of the untouched frames that are not identical"""

    def require(self, what: str, before: Any, after: Any) -> None:
        if before != after:
            self.faults.append(f"{what} was {before} and is {after}")

    def note(self, what: str) -> None:
        if what not in self.conversions:
            self.conversions.append(what)


def judge(source: Path, result: Path, restored: tuple[int, ...]) -> Judgement:
    """restored: numbers of the frames that must differ; all others must not."""
    found = Judgement()
    with av.open(str(source)) as before, av.open(str(result)) as after:
        _judge_files(before, after, found)
    times = _times_by_decoding(source)
    with av.open(str(source)) as before, av.open(str(result)) as after:
        _judge_frames(before, after, times, set(restored), found)
    with av.open(str(source)) as before, av.open(str(result)) as after:
        _judge_streams(before, after, found)
    return found


def main_video(container: Any) -> Any:
    return next(each for each in container.streams.video if not _is_cover(each))


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _judge_files(before: Any, after: Any, found: Judgement) -> None:
    kinds = [_family(each.format.name) for each in (before, after)]
    if kinds[0] != kinds[1]:
        found.note(f"{kinds[0]} → {kinds[1]}")
    left, right = ({k.lower(): v for k, v in each.metadata.items()} for each in (before, after))
    for key in sorted(set(left) - _MUXER_KEYS):
        _judge_tag(f"tag {key}", key, left[key], right.get(key), found)
    found.require("chapters", _chapters(before), _chapters(after))
    found.require("programs", _programs(before), _programs(after))


def _judge_tag(what: str, key: str, before: str, after: str | None, found: Judgement) -> None:
    if after == before:
        return
    if key == "creation_time" and after is not None and _digits(before) == _digits(after):
        found.note("creation time in the container's own notation")
    elif key.startswith("location") and after is not None and _near(before, after):
        found.note("location in the container's own notation")
    else:
        found.faults.append(f"{what} was {before!r} and is {after!r}")


def _digits(moment: str) -> str:
    """To the second."""
    return re.sub(r"\D", "", moment)[:14]


def _near(before: str, after: str) -> bool:
    places = [[float(number) for number in _NUMBER.findall(each)] for each in (before, after)]
    return len(places[0]) == len(places[1]) and all(abs(a - b) <= _DEGREES for a, b in zip(*places, strict=True))


def _family(name: str) -> str:
    return {"matroska,webm": "Matroska", "mpegts": "TS"}.get(name, "MP4" if name.startswith("mov,") else name)


def _chapters(container: Any) -> list[tuple[Fraction, Fraction, str]]:
    milliseconds = [
        (round(each["start"] * each["time_base"] * 1000), round(each["end"] * each["time_base"] * 1000), each)
        for each in container.chapters()
    ]
    return [(start, end, each["metadata"].get("title", "")) for start, end, each in milliseconds]


def _programs(container: Any) -> list[str]:
    """Names of services and their providers, as FFmpeg's own description of the file has them."""
    if container.format.name != "mpegts":
        return []
    av.logging.set_level(av.logging.INFO)
    try:
        described = container.dumps_format()
    finally:
        av.logging.set_level(None)
    return re.findall(r"Program \d+|service_(?:name|provider)\s*: \S.*", described)


def _times_by_decoding(source: Path) -> list[Fraction] | None:
    """When the frames of a container that stores no presentation times are shown: at the decoder's own times if they
    rise, else at the decoding times in their order, as much later as the decoder waits before the first frame. None for
    other containers, and where nothing tells."""
    with av.open(str(source)) as container:
        if container.format.name not in _WITHOUT_TIMES:
            return None
        stream = main_video(container)
        shown = [frame.pts for frame in container.decode(stream)]
        tick, wait = stream.time_base, stream.codec_context.reorder_depth
    if None in shown:
        return None
    if all(a < b for a, b in pairwise(shown)):
        return [pts * tick for pts in shown]
    with av.open(str(source)) as container:
        decoded = sorted(p.dts for p in container.demux(main_video(container)) if p.size)
    wait *= int(np.median(np.diff(decoded)))
    return [(dts + min(shown[0] - decoded[0], wait)) * tick for dts in decoded]


def _judge_frames(before: Any, after: Any, times: list[Fraction] | None, restored: set[int], found: Judgement) -> None:
    left, right = main_video(before), main_video(after)
    codecs = [each.codec_context.codec.canonical_name for each in (left, right)]
    if codecs[0] != codecs[1]:
        found.note(f"{codecs[0]} → {codecs[1]}")
    found.require("pixel aspect", left.sample_aspect_ratio or 1, right.sample_aspect_ratio or 1)
    if "alpha_mode" in left.metadata and codecs[0] in ("vp8", "vp9") and restored:
        found.faults.append("transparency beside the pictures is lost")
    exact = after.format.name.startswith("mov,") or after.format.name == "mpegts"
    first_fault: dict[str, str] = {}
    worst_shift, count = Fraction(0), 0
    for number, (one, other) in enumerate(zip_longest(_frames(before, left), _frames(after, right))):
        if one is None or other is None:
            found.faults.append(f"the {'result' if one is None else 'source'} has more frames than {number}")
            break
        count += 1
        shown = times[number] if times else None if one.pts is None else _time(one)
        shift = Fraction(0) if shown is None else abs(shown - _time(other))
        worst_shift = max(worst_shift, shift)
        for what, value, now in _tags(one, other, found):
            if value != now:
                first_fault.setdefault(what, f"{what} of frame {number} was {value} and is {now}")
        decibels = _psnr(one, other)
        if number in restored:
            if decibels > _RESTORED_DB:
                first_fault.setdefault("restored", f"frame {number} was restored, yet is as it was ({decibels:.0f} dB)")
        elif decibels == float("inf"):
            found.identical += 1
        else:
            found.lowest_db = min(found.lowest_db, decibels)
            if decibels < _UNTOUCHED_DB:
                first_fault.setdefault("untouched", f"frame {number} was not restored, yet is {decibels:.1f} dB off")
    found.frames = count
    found.faults += first_fault.values()
    if worst_shift > (Fraction(0) if exact else _MATROSKA_TICK):
        found.faults.append(f"frames are up to {float(worst_shift):.6f} s away from their times")
    elif worst_shift:
        found.note("times to the nearest millisecond")
    if found.lowest_db < float("inf"):
        found.note("untouched frames encoded again")


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    for frame in container.decode(stream):
        if not frame.is_corrupt:
            yield frame


def _time(frame: Any) -> Fraction:
    return Fraction(frame.pts) * frame.time_base


def _tags(one: Any, other: Any, found: Judgement) -> Iterator[tuple[str, Any, Any]]:
    yield "size", (one.width, one.height), (other.width, other.height)
    yield "pixel format", one.format.name.replace("yuvj", "yuv"), other.format.name.replace("yuvj", "yuv")
    yield "full range", _full(one), _full(other)
    yield "interlaced", one.interlaced_frame, other.interlaced_frame
    for name in ("colorspace", "color_primaries", "color_trc"):
        values = [int(getattr(each, name)) for each in (one, other)]
        yield name, *(2 if value in (0, 2) else value for value in values)
    left, right = _side_data(one), _side_data(other)
    for kind in sorted(set(left) | set(right)):
        if kind in _MPEG2_ONLY:
            if kind not in right:
                found.note(f"{_MPEG2_ONLY[kind]} left out")
        else:
            yield f"side data {kind}", _plain(kind, left.get(kind)), _plain(kind, right.get(kind))


def _full(frame: Any) -> bool:
    return frame.format.name.startswith("yuvj") or int(frame.color_range) == 2


def _side_data(frame: Any) -> dict[str, bytes]:
    try:
        return {item.type.name: bytes(item) for item in frame.side_data if item.type.name not in _OWN_WORK}
    except ValueError:
        return {"of a kind without a name": b""}


def _plain(kind: str, data: bytes | None) -> Any:
    """Mastering displays are told in fractions of several kinds: to a ten-thousandth of the unit."""
    if data is None or kind != "MASTERING_DISPLAY_METADATA":
        return data
    numbers = struct.unpack("=22i", data[:88])
    return [round(numbers[2 * i] / (numbers[2 * i + 1] or 1), 4) for i in range(8)], [
        round(numbers[2 * i] / (numbers[2 * i + 1] or 1), 3) for i in (8, 9)
    ]


def planes(frame: Any) -> list[np.ndarray]:
    """The samples of a frame, without the padding of its rows, one array a plane."""
    big = frame.format.is_big_endian
    found = []
    for plane in frame.planes:
        deep = frame.format.components[0].bits > 8
        dtype = np.dtype(">u2" if big else "<u2") if deep else np.dtype("u1")
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        used = plane.width * max(frame.format.components[0].bits + 7 >> 3, 1) * _packed(frame, len(frame.planes))
        found.append(np.ascontiguousarray(rows[:, : min(used, plane.line_size)]).view(dtype))
    return found


def _packed(frame: Any, plane_count: int) -> int:
    """Samples a pixel of one plane: those of packed formats lie beside each other."""
    return len(frame.format.components) if plane_count == 1 and len(frame.format.components) > 1 else 1


def _psnr(one: Any, other: Any) -> float:
    if (one.width, one.height) != (other.width, other.height) or len(one.planes) != len(other.planes):
        return 0.0
    squares, samples = 0.0, 0
    for left, right in zip(planes(one), planes(other), strict=True):
        if left.shape != right.shape or left.dtype.itemsize != right.dtype.itemsize:
            return 0.0
        if not np.array_equal(left, right):
            error = left.astype(np.float32) - right.astype(np.float32)
            squares += float(np.vdot(error, error))
        samples += left.size
    peak = 2 ** one.format.components[0].bits - 1
    return float("inf") if not squares else 10 * float(np.log10(peak**2 * samples / squares))


@dataclass
class _Track:
    index: int
    described: tuple[str, str]
    tags: dict[str, str]
    disposition: int
    is_main: bool
    is_in_other_form: bool = False
    packets: list[tuple[int, int]] = field(default_factory=list)
    """checksum and size"""
    times: list[Fraction] = field(default_factory=list)
    tick: Fraction = Fraction(0)


def _judge_streams(before: Any, after: Any, found: Judgement) -> None:
    left, right = (_tracks(each) for each in (before, after))
    # A track without a packet has nothing to lose.
    left, right = (
        [each for each in tracks if each.packets or each.described[0] == "attachment"] for tracks in (left, right)
    )
    for one, other in zip(left, right, strict=False):
        _judge_sound_in_other_form(before.name, after.name, one, other, found)
    kinds = [[each.described if not each.is_main else ("video", "main") for each in tracks] for tracks in (left, right)]
    found.require("streams", kinds[0], kinds[1])
    if kinds[0] != kinds[1]:
        return
    for one, other in zip(left, right, strict=True):
        what = " ".join(one.described)
        for key, value in one.tags.items():
            if value not in _MP4_DEFAULTS.get(key, ()):
                _judge_tag(f"tag {key} of the {what}", key, value, other.tags.get(key), found)
        found.require(f"disposition of the {what}", one.disposition, other.disposition)
        if one.is_main:
            continue
        if one.is_in_other_form:
            continue
        found.require(f"packets of the {what}", len(one.packets), len(other.packets))
        if one.packets != other.packets:
            found.faults.append(f"the bytes of the {what} differ")
        shifts = [abs(a - b) for a, b in zip(one.times, other.times, strict=False)]
        if max(shifts, default=Fraction(0)) > max(one.tick, other.tick):
            found.faults.append(f"the {what} is up to {float(max(shifts)):.6f} s away from its times")
    _judge_offset(left, right, found)


def _judge_sound_in_other_form(before: str, after: str, one: _Track, other: _Track, found: Judgement) -> None:
    """PCM that is cut into other packets, or became another kind of sound without loss, sample for sample."""
    is_same = one.described == other.described and one.packets == other.packets
    if one.described[0] != "audio" or is_same or not one.described[1].startswith("pcm_"):
        return
    samples = [_samples(path, track.index) for path, track in ((before, one), (after, other))]
    if np.array_equal(*samples):
        if one.described != other.described:
            found.note(f"{one.described[1]} → {other.described[1]}, all samples equal")
        one.is_in_other_form, other.described = True, one.described
        # One form has other packets than the other; they begin at one time.
        one.times, other.times = one.times[:1], other.times[:1]


def _samples(path: str, index: int) -> np.ndarray:
    """[channels, samples]"""
    with av.open(path) as container:
        stream: Any = container.streams[index]
        context = stream.codec_context
        to_float = av.AudioResampler("dblp", context.layout, context.sample_rate)
        blocks = [each.to_ndarray() for frame in container.decode(stream) for each in to_float.resample(frame)]
        return np.concatenate(blocks, axis=1)


def _judge_offset(left: list[_Track], right: list[_Track], found: Judgement) -> None:
    for place, track in enumerate(left):
        if track.described[0] != "audio":
            continue
        offsets = []
        for tracks in (left, right):
            picture = next((each for each in tracks if each.is_main), None)
            if picture and picture.times and tracks[place].times:
                offsets.append(min(picture.times) - min(tracks[place].times))
        if len(offsets) == 2 and abs(offsets[0] - offsets[1]) > Fraction(1, 1000):
            found.faults.append(f"sound is {float(offsets[1] - offsets[0]):.6f} s off the picture")


def _tracks(container: Any) -> list[_Track]:
    main = main_video(container)
    tracks = {}
    for stream in container.streams:
        codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        tags = {k: v for k, v in tags.items() if k.split("-")[0] not in _STREAM_KEYS and not k.startswith("_stat")}
        if stream.index == main.index:
            tags.pop("encoder", None)
        is_main = stream.index == main.index
        tracks[stream.index] = _Track(stream.index, (stream.type, codec), tags, int(stream.disposition), is_main)
        tracks[stream.index].tick = stream.time_base or Fraction(0)
    for packet in container.demux():
        if packet.size and not packet.is_discard and not _fills_gap(packet):
            track = tracks[packet.stream_index]
            track.packets.append((zlib.crc32(memoryview(packet)), packet.size))
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                track.times.append(stamp * packet.time_base)
    return list(tracks.values())


def _fills_gap(packet: Any) -> bool:
    """MP4's subtitles have an empty packet between two of them."""
    return packet.size == 2 and bytes(packet) == b"\0\0"
