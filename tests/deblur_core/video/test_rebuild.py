"""A video taken apart and put together again has every frame at its time and everything else as it was."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from deblur_core.errors import DeclinedVideoError, VerificationError
from deblur_core.video.probe import probe
from deblur_core.video.rebuild import output_name, rebuild
from deblur_core.video.verify import verify_rebuilt
from tests.deblur_core.video.whole_path import encode_parts, rebuilt
from tests.media import (
    ColourTags,
    frame_hashes,
    frame_times,
    make_clip,
    packet_hashes,
    packet_times,
    stream_kinds,
)

CLIPS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "variable.mp4": {"variable_rate": True, "rate": Fraction(30000, 1001)},
    "variable.mkv": {"variable_rate": True},
    "open.mp4": {"open_gop": True},
    "hidden.mp4": {"start_seconds": Fraction(-7, 24)},
    "late.mov": {"start_seconds": Fraction(5, 4)},
    "deep.mp4": {"codec": "libx265", "pixel_format": "yuv420p10le", "colour": ColourTags(9, 1, 9, 16)},
    "stream.ts": {},
    "web.webm": {"codec": "libvpx-vp9"},
    "one.mp4": {"codec": "libsvtav1", "frames": 30},
    "wide.mp4": {"sample_aspect_ratio": Fraction(4, 3), "rotation": -90},
    "old.avi": {"codec": "mpeg4"},
    "raw.mjpeg": {"codec": "mjpeg", "pixel_format": "yuvj420p", "audio": False},
    "odd.mjpeg": {"codec": "mjpeg", "pixel_format": "yuvj420p", "audio": False, "size": (100, 75)},
    "everything.mkv": {"subtitles": True, "chapters": True, "attachment": b"glyphs" * 50, "audio": 2},
    "everything.mp4": {"subtitles": True, "chapters": True, "cover": True, "audio": 2},
}


@pytest.mark.parametrize("name", CLIPS)
def test_rebuilt_video_passes_its_check(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, **CLIPS[name])
    out, info, index, report = rebuilt(clip, tmp_path)
    verify_rebuilt(clip, out, info, index, out.name)
    assert report.frames == index.frame_count
    assert report.parts >= 1


@pytest.mark.parametrize("name", ["variable.mp4", "hidden.mp4", "late.mov", "stream.ts"])
def test_times_of_pictures_and_sound_are_exactly_the_sources(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, **CLIPS[name])
    out, *_ = rebuilt(clip, tmp_path)
    assert frame_times(out) == frame_times(clip)
    assert packet_times(out, "audio") == packet_times(clip, "audio")
    assert packet_hashes(out, "audio") == packet_hashes(clip, "audio")


def test_parts_put_together_are_the_pictures_of_the_parts(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=48, gop=12)
    info, index, parts = encode_parts(clip, tmp_path, max_frames=24)
    assert len(parts) == 2
    rebuild(clip, "a.mp4", info, index, parts, tmp_path / "out.mp4", "out.mp4")
    assert frame_hashes(tmp_path / "out.mp4") == [each for part in parts for each in frame_hashes(part)]


def test_rotation_aspect_ratio_colour_and_depth_are_kept(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "a.mp4",
        codec="libx265",
        pixel_format="yuv420p10le",
        rotation=90,
        sample_aspect_ratio=Fraction(4, 3),
        colour=ColourTags(9, 1, 9, 18),
    )
    out, before, *_ = rebuilt(clip, tmp_path)
    after = probe(out, "out.mp4")
    for field in ("rotation_degrees", "display_matrix", "sample_aspect_ratio", "bit_depth", "codec_tag", "color_trc"):
        assert getattr(after, field) == getattr(before, field), field


def test_every_other_stream_is_carried_with_its_language_and_packets(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", subtitles=True, chapters=True, attachment=b"glyphs" * 50, audio=2)
    out, *_ = rebuilt(clip, tmp_path)
    assert stream_kinds(out) == stream_kinds(clip)
    for kind, number in (("audio", 0), ("audio", 1), ("subtitle", 0)):
        assert packet_hashes(out, kind, number) == packet_hashes(clip, kind, number)
    with av.open(str(clip)) as before, av.open(str(out)) as after:
        assert [each.language for each in after.streams] == [each.language for each in before.streams]
        assert [each["metadata"]["title"] for each in after.chapters()] == ["first", "second"]
        assert after.streams.attachments[0].data == b"glyphs" * 50


def test_title_and_time_code_are_carried(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mov", metadata={"title": "Holiday", "timecode": "10:00:00:00"})
    out, info, index, _ = rebuilt(clip, tmp_path)
    verify_rebuilt(clip, out, info, index, out.name)
    with av.open(str(out)) as container:
        assert container.metadata["title"] == "Holiday"
        assert [each.metadata.get("timecode") for each in container.streams if each.type == "data"] == ["10:00:00:00"]


def test_mp4_begins_with_its_index(tmp_path: Path) -> None:
    out, *_ = rebuilt(make_clip(tmp_path / "a.mp4"), tmp_path)
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_stream_that_the_container_cannot_hold_is_declined(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", subtitles=True)
    info, index, parts = encode_parts(clip, tmp_path)
    with pytest.raises(DeclinedVideoError, match="subtitle"):
        rebuild(clip, "a.mkv", info, index, parts, tmp_path / "out.mp4", "out.mp4")


def test_missing_part_is_noticed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    info, index, parts = encode_parts(clip, tmp_path)
    with pytest.raises(VerificationError, match="parts hold 36 frames, the video 48"):
        rebuild(clip, "a.mp4", info, index, parts[:-1], tmp_path / "out.mp4", "out.mp4")


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("a/clip.avi", "a/clip.avi.mkv"),
        ("clip.MPG", "clip.MPG.mkv"),
        ("a.b/clip.mjpeg", "a.b/clip.mjpeg.mkv"),
        ("clip.flv", "clip.flv.mkv"),
        ("a/clip.MP4", "a/clip.MP4"),
        ("clip.mov", "clip.mov"),
        ("clip.webm", "clip.webm"),
        ("clip.m2ts", "clip.m2ts"),
    ],
)
def test_name_of_the_result(name: str, result: str) -> None:
    assert output_name(name) == result
