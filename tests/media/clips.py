"""Makes small video files with moving texture and sound, of the kinds that real archives hold.

It knows PyAV and nothing of the program under test.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np

_AUDIO_CODECS = {".webm": "libopus", ".avi": "libmp3lame", ".flv": "aac", ".ts": "aac", ".mpg": "mp2"}
_AUDIO_RATE = 48000
_PARAMS_OPTION = {"libx264": "x264-params", "libx265": "x265-params"}


@dataclass(frozen=True)
class ColourTags:
    """FFmpeg's numbers: matrix 1 is BT.709, 6 BT.601, 9 BT.2020; range 1 is limited, 2 full."""

    matrix: int = 1
    range: int = 1
    primaries: int = 1
    transfer: int = 1


def make_clip(
    path: Path | str,
    *,
    frames: int = 48,
    size: tuple[int, int] = (192, 128),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int | Fraction = 24,
    gop: int = 12,
    bframes: int = 2,
    open_gop: bool = False,
    crf: int = 18,
    variable_rate: bool = False,
    start_seconds: Fraction | int = 0,
    audio: bool | int = True,
    subtitles: bool = False,
    chapters: bool = False,
    attachment: bytes | None = None,
    cover: bool = False,
    rotation: int = 0,
    sample_aspect_ratio: Fraction | None = None,
    colour: ColourTags | None = None,
    interlaced: bool = False,
    alternate_references: bool = False,
    metadata: dict[str, str] | None = None,
    seed: int = 0,
) -> Path:
    """Writes a clip of `frames` pictures of `size` (width, height); the suffix of `path` says the container.

    `variable_rate` makes every fifth picture last three times as long. `audio` may be a number of tracks. A negative
    `start_seconds` in MP4 gives an edit list that hides what comes before 0. `alternate_references` gives VP8 packets
    that are never shown. `subtitles`, `chapters`, `attachment`
    (Matroska only) and `cover` (MP4 only) add what they say. Returns `path`.
    """
    pictures = moving_texture(frames, size, seed)
    path = Path(path)
    options = {"movie_timescale": "90000"} if path.suffix in (".mp4", ".mov", ".m4v") else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(metadata or {})
        video = _video_stream(
            container, codec, pixel_format, size, rate, gop, bframes, open_gop, crf, interlaced, colour
        )
        if alternate_references:
            video.options = video.options | {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good"}
        if rotation:
            video.set_display_rotation(rotation)
        if sample_aspect_ratio is not None:
            video.codec_context.sample_aspect_ratio = sample_aspect_ratio
        sounds = [_audio_stream(container, path.suffix, number) for number in range(int(audio))]
        text = _subtitle_stream(container, path.suffix) if subtitles else None
        picture = _cover_stream(container) if cover else None
        if attachment is not None:
            container.add_attachment("font.ttf", "application/x-truetype-font", attachment)
        times = _times(frames, rate, variable_rate, Fraction(start_seconds))
        if chapters:
            container.set_chapters(_chapters(times))
        for frame in _timed_frames(pictures, times, pixel_format, colour, video.codec_context.time_base):
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for number, sound in enumerate(sounds):
            _add_sine(container, sound, max(times[0], Fraction(0)), times[-1], 440 * (number + 1))
        if text is not None:
            _add_subtitles(container, text, path.suffix)
        if picture is not None:
            _add_cover(container, picture)
    return path


def encode_frames(
    path: Path | str,
    pictures: Iterable[np.ndarray],
    *,
    rate: int | Fraction = 24,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    gop: int = 12,
    bframes: int = 2,
    crf: int = 18,
) -> Path:
    """Writes given RGB pictures (uint8 [H, W, 3], all of one size) as a silent clip."""
    iterator = iter(pictures)
    first = next(iterator)
    size = (first.shape[1], first.shape[0])
    with av.open(str(path), "w") as container:
        stream = _video_stream(container, codec, pixel_format, size, rate, gop, bframes, False, crf, False, None)
        for number, picture in enumerate([first, *iterator]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = number, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def moving_texture(frames: int, size: tuple[int, int], seed: int = 0) -> Iterator[np.ndarray]:
    """RGB uint8 [H, W, 3] pictures: a textured background that pans, and a square that moves against it."""
    width, height = size
    canvas = _canvas(width + 64, height + 64, seed)
    for number in range(frames):
        x, y = (3 * number) % 64, (2 * number) % 64
        picture = canvas[y : y + height, x : x + width].copy()
        left = (5 * number) % max(width - 24, 1)
        picture[height // 3 : height // 3 + 24, left : left + 24] = (230, 60 + number % 128, 40)
        yield picture


def remux(path: Path, target: Path, *, skip_video_packets: int = 0, faststart: bool = False) -> Path:
    """Copies the packets of a clip to another file, without its first video packets: a recording that began late.

    `faststart` puts MP4's index before its media data, as a file for the web has it.
    """
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path)) as source, av.open(str(target), "w", options=options) as container:
        streams = {each.index: container.add_stream_from_template(each, opaque=True) for each in source.streams}
        video = source.streams.video[0].index
        seen = 0
        for packet in source.demux():
            if not packet.size:
                continue
            seen += packet.stream_index == video
            if packet.stream_index != video or seen > skip_video_packets:
                packet.stream = streams[packet.stream_index]
                container.mux(packet)
    return target


def truncate(path: Path, target: Path, keep: float) -> Path:
    """Copies the first `keep` (0..1) of the bytes of a file."""
    shutil.copyfile(path, target)
    with target.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))
    return target


@lru_cache(maxsize=8)
def _canvas(width: int, height: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    layers = []
    for channel in range(3):
        coarse = random.normal(0, 1, (height // 8 + 2, width // 8 + 2)).repeat(8, 0).repeat(8, 1)[:height, :width]
        waves = np.sin(x / (7 + channel) + channel) * np.cos(y / (11 - channel))
        layers.append(128 + 45 * waves + 22 * coarse + random.normal(0, 5, (height, width)))
    return np.stack(layers, -1).clip(0, 255).astype(np.uint8)


def _video_stream(
    container: av.container.OutputContainer,
    codec: str,
    pixel_format: str,
    size: tuple[int, int],
    rate: int | Fraction,
    gop: int,
    bframes: int,
    open_gop: bool,
    crf: int,
    interlaced: bool,
    colour: ColourTags | None,
) -> Any:
    stream: Any = container.add_stream(codec, rate=Fraction(rate), width=size[0], height=size[1], pix_fmt=pixel_format)
    fine = Fraction(1, 90000) if codec in _PARAMS_OPTION else 1 / Fraction(rate)
    stream.codec_context.time_base = fine
    stream.codec_context.gop_size = gop
    options: dict[str, str] = {"threads": "1"}
    if codec in _PARAMS_OPTION:
        params: dict[str, Any] = {
            "scenecut": 0,
            "open-gop": int(open_gop),
            "bframes": bframes,
            "keyint": gop,
            "min-keyint": gop,
        }
        if codec == "libx265":
            params["log-level"] = "none"
        if interlaced and codec == "libx264":
            params["tff"] = 1
        joined = ":".join(f"{key}={value}" for key, value in params.items())
        options |= {"preset": "ultrafast", "crf": str(crf), _PARAMS_OPTION[codec]: joined}
    elif codec.startswith("libvpx"):
        options |= {"crf": str(crf), "b": "0", "cpu-used": "8", "deadline": "realtime"}
    elif codec == "libsvtav1":
        options |= {"crf": str(crf), "preset": "12"}
    elif codec in ("mpeg4", "mpeg2video"):
        stream.codec_context.max_b_frames = bframes
        stream.codec_context.bit_rate = 2_000_000
        if interlaced:
            options |= {"flags": "+ildct+ilme", "field_order": "tt"}
    stream.options = options
    if colour is not None:
        context = stream.codec_context
        context.colorspace, context.color_range = colour.matrix, colour.range
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    return stream


def _times(frames: int, rate: int | Fraction, variable: bool, start: Fraction) -> list[Fraction]:
    times, now = [], start
    for number in range(frames):
        times.append(now)
        now += (3 if variable and number % 5 == 4 else 1) / Fraction(rate)
    return times


def _timed_frames(
    pictures: Iterable[np.ndarray],
    times: list[Fraction],
    pixel_format: str,
    colour: ColourTags | None,
    time_base: Fraction,
) -> Iterator[av.VideoFrame]:
    for picture, time in zip(pictures, times, strict=True):
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
            format=pixel_format,
            dst_colorspace={6: 5}.get(colour.matrix, colour.matrix) if colour else None,
            dst_color_range=colour.range if colour else None,
        )
        if colour is not None:
            frame.colorspace, frame.color_range = colour.matrix, colour.range
            frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
        frame.pts, frame.time_base = round(time / time_base), time_base
        yield frame


def _audio_stream(container: av.container.OutputContainer, suffix: str, number: int) -> Any:
    stream = container.add_stream(_AUDIO_CODECS.get(suffix, "aac"), rate=_AUDIO_RATE, layout="mono")
    stream.metadata["language"] = ("eng", "deu", "fra")[number % 3]
    return stream


def _add_sine(
    container: av.container.OutputContainer, stream: Any, start: Fraction, stop: Fraction, frequency: int
) -> None:
    """One tone from `start` to `stop` seconds; it fades in slowly so that all packets differ."""
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    block = stream.codec_context.frame_size or 1024
    for at in range(round(start * _AUDIO_RATE), round(stop * _AUDIO_RATE), block):
        samples = np.arange(at, at + block)
        tone = np.sin(2 * np.pi * frequency * samples / _AUDIO_RATE) * (0.1 + 0.2 * np.sin(samples / 9000))
        sound = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], "fltp", "mono")
        sound.sample_rate, sound.pts, sound.time_base = _AUDIO_RATE, at, Fraction(1, _AUDIO_RATE)
        for resampled in av.AudioResampler(stream.codec_context.format, "mono", _AUDIO_RATE).resample(sound):
            container.mux(stream.encode(resampled))
    container.mux(stream.encode())


def _subtitle_stream(container: av.container.OutputContainer, suffix: str) -> Any:
    stream = container.add_mux_stream("mov_text" if suffix in (".mp4", ".mov", ".m4v") else "subrip")
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "eng"
    return stream


def _add_subtitles(container: av.container.OutputContainer, stream: Any, suffix: str) -> None:
    for number in range(2):
        text = f"line {number}".encode()
        payload = len(text).to_bytes(2, "big") + text if suffix in (".mp4", ".mov", ".m4v") else text
        packet = av.Packet(payload)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 200 + 700 * number
        packet.duration = 500
        container.mux(packet)


def _chapters(times: list[Fraction]) -> list[Any]:
    middle, end = round(times[len(times) // 2] * 1000), round(times[-1] * 1000)
    bounds = [(0, middle, "first"), (middle, end, "second")]
    return [
        {"id": number, "start": start, "end": stop, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
        for number, (start, stop, title) in enumerate(bounds)
    ]


def _cover_stream(container: av.container.OutputContainer) -> Any:
    stream = container.add_stream("mjpeg", rate=1, width=64, height=48, pix_fmt="yuvj420p")
    stream.disposition = av.stream.Disposition.attached_pic
    return stream


def _add_cover(container: av.container.OutputContainer, stream: Any) -> None:
    picture = av.VideoFrame.from_ndarray(next(moving_texture(1, (64, 48), 7)), "rgb24").reformat(format="yuvj420p")
    picture.pts = 0
    for packet in [*stream.encode(picture), *stream.encode()]:
        container.mux(packet)
