"""The matrix: which clips are made, and what is to become of each.

A cell is a container, a codec and a case. Expected is `exact` (same container, codec, pixel format, times to the tick,
every stream and tag), `converted` (the container or the codec cannot hold the result and another does) or a pattern
that the reason for declining must match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.media import ColourTags, make_clip, odd_clips, odd_sound

EXACT, CONVERTED = "exact", "converted"

CODECS = {
    "H.264": ("libx264", "yuv420p"),
    "HEVC": ("libx265", "yuv420p"),
    "AV1": ("libsvtav1", "yuv420p"),
    "VP8": ("libvpx", "yuv420p"),
    "VP9": ("libvpx-vp9", "yuv420p"),
    "MPEG-2": ("mpeg2video", "yuv420p"),
    "MPEG-4": ("mpeg4", "yuv420p"),
    "MJPEG": ("mjpeg", "yuvj420p"),
    "ProRes": ("prores_ks", "yuv422p10le"),
    "FFV1": ("ffv1", "yuv420p"),
}
PAIRS = {
    "mp4": ("H.264", "HEVC", "AV1", "VP9", "MPEG-2", "MPEG-4", "MJPEG"),
    "mov": ("H.264", "HEVC", "MPEG-2", "MPEG-4", "MJPEG", "ProRes"),
    "mkv": tuple(CODECS),
    "webm": ("AV1", "VP8", "VP9"),
    "ts": ("H.264", "HEVC", "MPEG-2", "MPEG-4"),
    "avi": ("H.264", "AV1", "VP8", "VP9", "MPEG-2", "MPEG-4", "MJPEG", "FFV1"),
    "mjpeg": ("MJPEG",),
    "mpg": ("MPEG-2",),
    "3gp": ("H.264", "MPEG-4"),
    "flv": ("H.264", "HEVC", "AV1", "VP9"),
}
_KEPT_CONTAINERS = {"mp4", "mov", "mkv", "webm", "ts", "3gp"}
_KEPT_CODECS = {"H.264", "HEVC", "AV1", "VP9", "FFV1"}
_TIMED = ("mp4", "mov", "mkv", "webm", "ts", "3gp", "flv")
_INTERLACED = "interlaced"

Maker = Callable[[Path], Path]


@dataclass(frozen=True)
class Cell:
    """container: the suffix; slow: not for the slice that `make test` runs; segment_frames: how long segments may be,
    short so that there are some."""

    container: str
    codec: str
    case: str
    make: Maker
    expected: str
    slow: bool = False
    segment_frames: int = 12

    @property
    def name(self) -> str:
        return f"{self.container} {self.codec} {self.case}"


def all_cells() -> list[Cell]:
    return [*_plain_pairs(), *_cases_of_time(), *_cases_of_picture(), *_cases_of_colour(), *_cases_beside_the_picture()]


def _clip(container: str, codec: str, case: str, expected: str = "", slow: bool = False, **options: Any) -> Cell:
    encoder, pixel_format = CODECS[codec]
    given = {"frames": 24, "size": (96, 64), "gop": 6, "codec": encoder, "pixel_format": pixel_format}
    given |= {"audio": container != "mjpeg"} | options
    return Cell(
        container,
        codec,
        case,
        lambda folder: make_clip(folder / f"clip.{container}", **given),
        expected or _usual(container, codec),
        slow,
    )


def _usual(container: str, codec: str) -> str:
    return EXACT if container in _KEPT_CONTAINERS and codec in _KEPT_CODECS else CONVERTED


def _made(
    container: str, codec: str, case: str, make: Callable[[Path], Path], expected: str = "", slow: bool = False
) -> Cell:
    """make: gets the path of the clip."""
    expected = expected or _usual(container, codec)
    return Cell(container, codec, case, lambda folder: make(folder / f"clip.{container}"), expected, slow)


def _rewritten(
    container: str, codec: str, case: str, change: Callable[[int, Any], Any], expected: str = "", **options: Any
) -> Cell:
    encoder, pixel_format = CODECS[codec]
    given = {"frames": 24, "size": (96, 64), "gop": 6, "codec": encoder, "pixel_format": pixel_format, "audio": False}

    def make(path: Path) -> Path:
        plain = make_clip(path.with_name("plain.mp4"), **(given | options))
        odd_clips.rewritten(plain, path, change)
        plain.unlink()
        return path

    return _made(container, codec, case, make, expected)


def _plain_pairs() -> Iterator[Cell]:
    for container, codecs in PAIRS.items():
        for codec in codecs:
            yield _clip(container, codec, "as most are")
    for container, codec in (("mp4", "H.264"), ("mkv", "HEVC"), ("ts", "H.264"), ("webm", "VP9"), ("avi", "MPEG-4")):
        yield _clip(container, codec, "no sound", audio=False)
        yield _clip(container, codec, "one frame", frames=1, audio=False)


def _cases_of_time() -> Iterator[Cell]:
    for container in _TIMED:
        for codec in ("H.264", "HEVC", "VP9", "MPEG-4"):
            if codec not in PAIRS[container]:
                continue
            slow = codec != "H.264"
            yield _clip(container, codec, "variable rate", variable_rate=True, slow=slow)
            yield _clip(container, codec, "late start (empty edit)", start_seconds=Fraction(5, 4), slow=slow)
            if container in ("mp4", "mov", "mkv", "3gp"):
                negative = "negative start (edit list)"
                yield _clip(container, codec, negative, start_seconds=Fraction(-7, 24), slow=slow)
            if codec in ("H.264", "HEVC"):
                yield _clip(container, codec, "open GOPs", open_gop=True, bframes=3, slow=slow)
                yield _clip(container, codec, "B-pyramid", bframes=7 if codec == "H.264" else 4, gop=24, slow=slow)
    yield _clip("avi", "MPEG-4", "variable rate", variable_rate=True)
    yield _clip("avi", "MPEG-4", "no reordering", bframes=0)
    yield _clip("webm", "VP8", "packets that are never shown", alternate_references=True)
    rate = Fraction(30000, 1001)
    for container in ("mp4", "mkv", "ts", "mov"):
        yield _clip(container, "H.264", "30000/1001 frames a second", rate=rate, slow=container != "mp4")
    twice = odd_clips.twice_the_same_time
    yield _rewritten("mkv", "H.264", "two frames at one time", twice, "both shown at", bframes=0)
    again = "damaged or cut short"
    yield _made("ts", "H.264", "two recordings joined, times begin again", odd_clips.joined_recordings, again)
    some = "stores times for some of its frames only"
    yield _clip("mpg", "H.264", "times of some frames missing", some)
    yield replace(_made("mp4", "H.264", "an hour long", odd_clips.an_hour, slow=True), segment_frames=300)


def _cases_of_picture() -> Iterator[Cell]:
    for container, codec in (
        ("mp4", "H.264"),
        ("mov", "H.264"),
        ("mkv", "H.264"),
        ("ts", "H.264"),
        ("avi", "H.264"),
        ("flv", "H.264"),
        ("ts", "MPEG-2"),
        ("mpg", "MPEG-2"),
    ):
        yield _clip(
            container, codec, "interlaced", _INTERLACED, interlaced=True, slow=container in ("mov", "flv", "ts")
        )
    for container, codec in (("mp4", "H.264"), ("mov", "ProRes"), ("mkv", "HEVC"), ("ts", "H.264"), ("avi", "MPEG-4")):
        yield _clip(container, codec, "pixels of 16:15", sample_aspect_ratio=Fraction(16, 15))
    yield _clip("webm", "VP9", "pixels of 16:15", sample_aspect_ratio=Fraction(16, 15))
    for container in ("mp4", "mov", "mkv"):
        for turn in (90, 180, -90):
            yield _clip(container, "H.264", f"turned by {turn}", rotation=turn, slow=turn != 90)
        yield _made(container, "H.264", "mirrored", odd_clips.mirrored)
    for pixel_format in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray"):
        for container in ("mp4", "mkv"):
            yield _clip(container, "H.264", pixel_format, pixel_format=pixel_format, slow=container == "mkv")
    for pixel_format in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuv444p12le", "gray"):
        yield _clip("mp4", "HEVC", pixel_format, pixel_format=pixel_format, slow=True)
    for pixel_format in ("yuv422p", "yuv440p", "yuv444p"):
        yield _clip("webm", "VP9", pixel_format, pixel_format=pixel_format, slow=True)
    yield _clip("mp4", "AV1", "yuv420p10le", pixel_format="yuv420p10le")
    for pixel_format in ("yuv420p16le", "yuv444p10le", "yuv411p", "gray16le", "gbrp10le", "bgr0"):
        yield _clip("mkv", "FFV1", pixel_format, pixel_format=pixel_format, slow=pixel_format != "bgr0")
    for size in ((97, 63), (33, 17), (8, 6)):
        case = f"{size[0]} × {size[1]}"
        yield _clip("webm", "VP9", case, size=size, slow=True)
        yield _clip("mkv", "FFV1", case, size=size, slow=True)
    yield _clip("mjpeg", "MJPEG", "97 × 63", size=(97, 63))
    yield _clip("mp4", "H.264", "97 × 63, 4:4:4", size=(97, 63), pixel_format="yuv444p")
    yield _made("mp4", "H.264", "7680 × 4320", odd_clips.huge, slow=True)
    for container in ("mp4", "mkv", "ts"):
        yield _made(container, "H.264", "a size change in mid-stream", odd_clips.changing_size, "64x96")
    webm_alpha = "transparency"
    for codec in ("VP8", "VP9"):
        encoder = CODECS[codec][0]
        yield _made("webm", codec, "transparent", _transparent(encoder, "yuva420p"), webm_alpha)
    yield _made("mkv", "FFV1", "transparent", _transparent("ffv1", "yuva420p"))
    yield _made("mov", "ProRes", "transparent", _transparent("prores_ks", "yuva444p10le"), "cannot be encoded exactly")


def _transparent(encoder: str, pixel_format: str) -> Callable[[Path], Path]:
    return lambda path: odd_clips.transparent(path, encoder, pixel_format)


def _cases_of_colour() -> Iterator[Cell]:
    kinds = {
        "BT.601, 525 lines": ColourTags(6, 1, 6, 6),
        "BT.601, 625 lines": ColourTags(5, 1, 5, 6),
        "BT.709": ColourTags(1, 1, 1, 1),
        "BT.709, full range": ColourTags(1, 2, 1, 1),
        "BT.2020, 10 bits": ColourTags(9, 1, 9, 14),
        "PQ": ColourTags(9, 1, 9, 16),
        "HLG": ColourTags(9, 1, 9, 18),
    }
    for case, tags in kinds.items():
        deep = "yuv420p10le" if tags.matrix == 9 else "yuv420p"
        yield _clip("mkv", "H.264", case, colour=tags, pixel_format=deep)
        yield _clip("mp4", "HEVC", case, colour=tags, pixel_format=deep)
        yield _clip("mp4", "AV1", case, colour=tags, pixel_format=deep, slow=True)
        if tags.matrix != 9:
            yield _clip("webm", "VP9", case, colour=tags, slow=True)
            yield _clip("ts", "H.264", case, colour=tags, slow=True)
    for container, codec in (("mp4", "HEVC"), ("mkv", "HEVC"), ("mp4", "AV1"), ("mkv", "H.264")):
        encoder = CODECS[codec][0]
        yield _made(container, codec, "HDR10 with mastering display", _hdr10(encoder), slow=codec == "AV1")


def _hdr10(encoder: str) -> Callable[[Path], Path]:
    return lambda path: odd_clips.hdr10(path, encoder)


def _cases_beside_the_picture() -> Iterator[Cell]:
    tags = {"title": "Holiday", "artist": "Somebody", "comment": "two words", "date": "1999", "copyright": "nobody"}
    for container in ("mp4", "mov", "mkv", "avi", "flv"):
        yield _clip(container, "H.264", "tags", metadata=tags)
    yield _clip("webm", "VP9", "tags", metadata=tags)
    yield _clip(
        "mp4", "H.264", "three sounds, subtitles, chapters, cover", audio=3, subtitles=True, chapters=True, cover=True
    )
    yield _clip("mov", "H.264", "two sounds, subtitles, chapters", audio=2, subtitles=True, chapters=True)
    everything = {"audio": 2, "subtitles": True, "chapters": True, "attachment": b"glyphs" * 50}
    yield _clip("mkv", "H.264", "two sounds, subtitles, chapters, attachment", **everything)
    yield _clip("ts", "H.264", "three sounds", audio=3)
    yield _clip("avi", "MPEG-4", "two sounds", audio=2)
    yield _made("avi", "MPEG-4", "sound in A-law", lambda path: odd_sound.with_sound(path, "pcm_alaw"))
    yield _made("mov", "H.264", "sound in A-law", lambda path: odd_sound.with_sound(path, "pcm_alaw"))
    no_place = r"audio stream 1 \(adpcm_ms\) cannot be put into a matroska file"
    yield _made("avi", "MPEG-4", "sound in ADPCM", lambda path: odd_sound.with_sound(path, "adpcm_ms"), no_place)
    for container in ("mp4", "mov"):
        yield _made(container, "H.264", "tags of no known kind, names of tracks", _tagged)
    for container in ("mov", "mp4", "mkv"):
        yield _clip(container, "H.264", "time code", metadata={"timecode": "10:00:00:00"})
    for container in ("mp4", "mkv", "ts"):
        yield _rewritten(container, "H.264", "captions in user data", odd_clips.captioned)
        yield _rewritten(container, "HEVC", "captions in user data", odd_clips.captioned_hevc)
    middle = odd_clips.captioned_in_the_middle
    yield _rewritten("mkv", "H.264", "captions from the middle on", middle, bframes=0)

    def named(path: Path) -> Path:
        return odd_clips.broadcast(path, service_name="Zürich heute", service_provider="Télé")

    yield _made("ts", "H.264", "a named service", named)
    yield _made("ts", "H.264", "two programs", odd_clips.two_programs, "several programs")


def _tagged(path: Path) -> Path:
    tags = {"mood": "calm", "title": "Holiday", "com.apple.quicktime.make": "Nobody"}
    return odd_clips.tagged(path, tags, {"title": "first light", "language": "fra"})
