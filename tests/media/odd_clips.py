"""Clips of the kinds that break video tools, made from the packets of plain ones: captions, sizes that change, times
that are missing or equal, mirrored pictures, transparent ones, services of a broadcast.

It knows PyAV and nothing of the program under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.media.clips import make_clip, moving_texture

MIRROR = (-65536, 0, 0, 0, 65536, 0, 96 * 65536, 0, 1 << 30)
"""A display matrix that swaps left and right of a picture 96 pixels wide"""
_OPTIONS = {"libx264": {"bf": "0"}, "libvpx": {"auto-alt-ref": "0"}}
_CAPTION = bytes.fromhex("b5003147413934") + b"\x03\xc1\xff\xfc\x94\x20\xff"
"""ITU-T T.35, ATSC's GA94, cc_data of one pair (A/53 part 4)"""


def rewritten(source: Path, target: Path, change: Callable[[int, av.Packet], av.Packet | None], **options: Any) -> Path:
    """Copies a clip; `change` is given each packet of its first video stream with its number and returns what is
    written in its place, or None for nothing. options: of av.open for the target."""
    with av.open(str(source)) as before, av.open(str(target), "w", **options) as after:
        copies = {each.index: after.add_stream_from_template(each, opaque=True) for each in before.streams}
        for stream in before.streams:
            copies[stream.index].time_base = stream.time_base
        video, number = before.streams.video[0].index, 0
        for packet in before.demux():
            if not packet.size:
                continue
            written: av.Packet | None = packet
            if packet.stream_index == video:
                written = change(number, packet)
                number += 1
            if written is not None:
                written.stream = copies[packet.stream_index]
                after.mux(written)
    return target


def tagged(path: Path, tags: dict[str, str], track_tags: dict[str, str]) -> Path:
    """MP4 or MOV with any tags at all, in the newer kind of metadata, and tags of its tracks."""
    plain = make_clip(path.with_name("plain.mp4"), frames=24, size=(96, 64), gop=6)
    with (
        av.open(str(plain)) as before,
        av.open(str(path), "w", options={"movflags": "use_metadata_tags", "movie_timescale": "90000"}) as after,
    ):
        after.metadata.update(tags)
        copies = {each.index: after.add_stream_from_template(each, opaque=True) for each in before.streams}
        for copy in copies.values():
            copy.metadata.update(track_tags)
        for packet in before.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                after.mux(packet)
    plain.unlink()
    return path


def captioned(number: int, packet: av.Packet) -> av.Packet:
    """A packet of H.264 in MP4 or Matroska with closed captions (A/53) before its picture."""
    payload = b"\x04" + bytes([len(_CAPTION)]) + _CAPTION
    unit = b"\x06" + payload + b"\x80"
    return replaced(packet, len(unit).to_bytes(4, "big") + unit + bytes(packet))


def captioned_hevc(number: int, packet: av.Packet) -> av.Packet:
    """The same for HEVC; other captions with each packet, so that none may stand for another's."""
    caption = _CAPTION[:-3] + bytes([0x80 | number % 0x70]) * 2 + _CAPTION[-1:]
    unit = b"\x4e\x01\x04" + bytes([len(caption)]) + caption + b"\x80"
    return replaced(packet, len(unit).to_bytes(4, "big") + unit + bytes(packet))


def replaced(packet: av.Packet, data: bytes) -> av.Packet:
    """Other bytes with the times of `packet`."""
    copied = av.Packet(data)
    copied.pts, copied.dts, copied.duration = packet.pts, packet.dts, packet.duration
    copied.time_base, copied.is_keyframe = packet.time_base, packet.is_keyframe
    return copied


def captioned_in_the_middle(number: int, packet: av.Packet) -> av.Packet:
    """As `captioned`, from the eighth packet on."""
    return packet if number < 8 else captioned(number, packet)


def twice_the_same_time(number: int, packet: av.Packet) -> av.Packet:
    """The eighth frame is shown at the time of the seventh."""
    if number == 8:
        packet.pts = packet.dts = packet.pts - packet.duration
    return packet


def mirrored(path: Path, frames: int = 24) -> Path:
    """A clip of 96 × 64 whose display matrix mirrors it."""
    return _encoded(path, "libx264", "yuv420p", _pictures(frames, (96, 64), "yuv420p"), matrix=MIRROR)


def transparent(path: Path, codec: str, pixel_format: str, frames: int = 24) -> Path:
    """A clip of 96 × 64 whose left third shows what is behind it."""
    return _encoded(path, codec, pixel_format, _pictures(frames, (96, 64), "yuva444p"))


def changing_size(path: Path, frames: int = 12) -> Path:
    """H.264 of 96 × 64, and from the middle on of 64 × 96, in one stream."""
    raw = path.with_suffix(".h264")
    for size in ((96, 64), (64, 96)):
        part = _encoded(path.with_name(f"{size[0]}.h264"), "libx264", "yuv420p", _pictures(frames, size, "yuv420p"))
        with raw.open("ab") as joined:
            joined.write(part.read_bytes())
    with av.open(str(raw)) as before, av.open(str(path), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0], opaque=True)
        for number, packet in enumerate(each for each in before.demux() if each.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.duration = Fraction(1, 24), 1
            packet.stream = stream
            after.mux(packet)
    return path


def broadcast(path: Path, frames: int = 24, **names: str) -> Path:
    """A transport stream with a named service: service_name, service_provider."""
    return _encoded(path, "libx264", "yuv420p", _pictures(frames, (96, 64), "yuv420p"), metadata=names)


def hdr10(path: Path, codec: str, frames: int = 24) -> Path:
    """PQ and BT.2020 in 10 bits, with a mastering display and light levels."""
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    params = {
        "libx265": ("x265-params", f"log-level=none:master-display={display}:max-cll=1000,400:hdr10=1:bframes=0"),
        "libx264": ("x264-params", f"mastering-display={display}:cll=1000,400:bframes=0"),
        "libsvtav1": (
            "svtav1-params",
            "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005):content-light=1000,400",
        ),
    }
    options = {"preset": "12" if codec == "libsvtav1" else "ultrafast"} | dict([params[codec]])
    return _encoded(
        path, codec, "yuv420p10le", _pictures(frames, (96, 64), "yuv420p"), options=options, tags=(9, 9, 16)
    )


def huge(path: Path, frames: int = 2) -> Path:
    """H.264 of 7680 × 4320."""

    def pictures() -> Iterator[av.VideoFrame]:
        for number, small in enumerate(_pictures(frames, (480, 270), "yuv420p")):
            frame = av.VideoFrame.from_ndarray(np.tile(small.to_ndarray(), (16, 16, 1)), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            yield frame

    return _encoded(path, "libx264", "yuv420p", pictures(), options={"preset": "ultrafast", "bf": "0"})


def an_hour(path: Path) -> Path:
    """3600 pictures, one a second, and an hour of sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=1, width=64, height=48, pix_fmt="yuv420p")
        video.options = {"preset": "ultrafast", "threads": "1"}
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for number, frame in enumerate(_pictures(3600, (64, 48), "yuv420p")):
            frame.time_base = Fraction(1)
            container.mux(video.encode(frame.reformat(format="yuv420p")))
            tone = np.sin(np.arange(8000) * (0.2 + number % 7 / 20)).astype(np.float32)[None] / 4
            block = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = 8000, number * 8000, Fraction(1, 8000)
            container.mux(sound.encode(block))
        container.mux(video.encode())
        container.mux(sound.encode())
    return path


def _pictures(frames: int, size: tuple[int, int], pixel_format: str) -> Iterator[av.VideoFrame]:
    for number, picture in enumerate(moving_texture(frames, size)):
        if pixel_format.startswith("yuva"):
            alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
            alpha[:, : size[0] // 3] = 5 * number % 200
            frame = av.VideoFrame.from_ndarray(np.concatenate([picture, alpha], 2), "rgba")
        else:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 24)
        yield frame


def _encoded(
    path: Path,
    codec: str,
    pixel_format: str,
    pictures: Iterator[av.VideoFrame],
    metadata: dict[str, str] | None = None,
    matrix: tuple[int, ...] | None = None,
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int] | None = None,
) -> Path:
    """tags: matrix, primaries and transfer, FFmpeg's numbers."""
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream: Any = None
        for frame in pictures:
            if stream is None:
                stream = container.add_stream(codec, rate=24, width=frame.width, height=frame.height)
                stream.pix_fmt, stream.codec_context.gop_size = pixel_format, 6
                stream.options = {"threads": "1"} | (options or _OPTIONS.get(codec, {}))
                if tags is not None:
                    context = stream.codec_context
                    context.colorspace, context.color_primaries, context.color_trc = tags
                    context.color_range = 1
                if matrix is not None:
                    stream.set_display_matrix(matrix)
            picture = frame.reformat(format=pixel_format)
            if tags is not None:
                picture.colorspace, picture.color_primaries, picture.color_trc = tags
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def joined_recordings(path: Path) -> Path:
    """Two transport streams one after the other in one file: in the middle the times begin again."""
    path.write_bytes(2 * broadcast(path).read_bytes())
    return path


def two_programs(path: Path) -> Path:
    """A transport stream whose program table (PAT) names a second program, which has no stream of its own."""
    data = bytearray(broadcast(path).read_bytes())
    for at in range(0, len(data), 188):
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == 0:
            table = at + 5 + data[at + 4]
            section = bytearray(data[table : table + 12]) + b"\x00\x02\xf1\x00"
            section[1:3] = (0xB000 | len(section) + 4 - 3).to_bytes(2, "big")
            data[table : table + len(section) + 4] = section + _crc32_mpeg(section).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def _crc32_mpeg(data: bytes) -> int:
    """ISO/IEC 13818-1, Annex A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
    return crc
