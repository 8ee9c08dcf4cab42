"""Encoding a segment: which encoder, what comes out, and how little an untouched frame loses."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.errors import DeclinedVideoError, UsageError
from deblur_core.video.encode import EncodeSettings, choose_encoder, encode_segment
from deblur_core.video.probe import VideoInfo, probe
from deblur_core.video.untouched_gops import beside
from tests.media import decoded_frames, encode_frames, make_clip, moving_texture, psnr


@pytest.fixture
def info(tmp_path: Path) -> VideoInfo:
    return probe(make_clip(tmp_path / "any.mp4", frames=2, audio=False), "any.mp4")


@pytest.mark.parametrize(
    ("codec", "suffix", "encoder"),
    [
        ("h264", ".mp4", "libx264"),
        ("hevc", ".mov", "libx265"),
        ("av1", ".mkv", "libsvtav1"),
        ("vp8", ".webm", "libvpx-vp9"),
        ("vp9", ".mp4", "libvpx-vp9"),
        ("mpeg2video", ".ts", "libx264"),
        ("mjpeg", ".mkv", "libx264"),
    ],
)
def test_codec_family_of_the_source_is_kept(info: VideoInfo, codec: str, suffix: str, encoder: str) -> None:
    assert choose_encoder(replace(info, codec=codec), suffix).encoder == encoder


@pytest.mark.parametrize(
    ("changes", "suffix", "encoder"),
    [
        ({"codec": "av1", "pixel_format": "yuv444p"}, ".mp4", "libx264"),
        ({"pixel_format": "yuv420p12le"}, ".mp4", "libx265"),
        ({"height": 127}, ".mkv", "libvpx-vp9"),
        ({"pixel_format": "yuva420p"}, ".mkv", "ffv1"),
        ({"pixel_format": "yuvj420p"}, ".mp4", "libx264"),
        ({"codec": "av1"}, ".mov", "libx264"),
    ],
)
def test_pixel_format_and_size_decide_where_the_family_cannot(
    info: VideoInfo, changes: dict[str, Any], suffix: str, encoder: str
) -> None:
    choice = choose_encoder(replace(info, **changes), suffix)
    assert choice.encoder == encoder
    assert choice.pixel_format == changes.get("pixel_format", "yuv420p").replace("yuvj", "yuv")
    assert choice.full_range == ("yuvj" in changes.get("pixel_format", ""))


def test_codec_can_be_chosen(info: VideoInfo) -> None:
    assert choose_encoder(info, ".mkv", EncodeSettings(codec="ffv1")).encoder == "ffv1"
    assert choose_encoder(info, ".mp4", EncodeSettings(codec="hevc", crf=20)).crf == 20


@pytest.mark.parametrize(
    ("changes", "suffix", "codec", "reason"),
    [
        ({"interlaced": True}, ".mp4", "auto", "interlaced"),
        ({"dynamic_metadata": ("Dolby Vision",)}, ".mp4", "auto", "Dolby Vision"),
        ({"pixel_format": "pal8"}, ".mkv", "auto", "cannot be encoded exactly"),
        ({"pixel_format": "pal8"}, ".mkv", "auto", "; convert it to yuv420p first$"),
        ({"pixel_format": "yuv422p"}, ".mp4", "av1", "convert it to yuv420p first, or choose --codec h264 or hevc or"),
        ({"height": 127}, ".ts", "auto", r"into a \.ts file, because of its size; choose --codec ffv1$"),
        ({"height": 1}, ".mkv", "ffv1", "lines of pixels"),
        ({}, ".webm", "hevc", r"^a \.webm file does not hold hevc; choose --codec av1 or vp9 or ffv1$"),
        ({"codec": "hevc"}, ".mov", "av1", r"^a \.mov file does not hold av1; choose --codec h264 or hevc or ffv1$"),
        ({}, ".mov", "vp9", r"^a \.mov file does not hold vp9; choose --codec h264 or hevc or ffv1$"),
        ({"sample_aspect_ratio": Fraction(4, 3)}, ".webm", "auto", "vp9 in a .webm file would lose that its pixels"),
    ],
)
def test_what_cannot_be_kept_is_declined(
    info: VideoInfo, changes: dict[str, Any], suffix: str, codec: str, reason: str
) -> None:
    with pytest.raises(DeclinedVideoError, match=reason):
        choose_encoder(replace(info, **changes), suffix, EncodeSettings(codec=codec))


@pytest.mark.parametrize("settings", [EncodeSettings(codec="divx"), EncodeSettings(crf=-1), EncodeSettings(threads=0)])
def test_settings_that_no_encoder_has_are_usage_errors(info: VideoInfo, settings: EncodeSettings) -> None:
    with pytest.raises(UsageError):
        choose_encoder(info, ".mp4", settings)


ENCODERS = [("h264", "yuv420p"), ("h264", "yuv444p"), ("hevc", "yuv420p"), ("vp9", "yuv420p"), ("av1", "yuv420p")]


@pytest.mark.parametrize(("codec", "pixel_format"), ENCODERS)
def test_untouched_frames_lose_less_than_a_tenth_of_a_decibel(tmp_path: Path, codec: str, pixel_format: str) -> None:
    """Against a pristine original of which the source is itself a lossy copy of about 41 dB."""
    pictures = list(moving_texture(16, (192, 128)))
    source = encode_frames(tmp_path / "source.mp4", pictures, crf=20, pixel_format=pixel_format)
    info = replace(probe(source, "source.mp4"), codec=codec)
    restored = np.zeros(16, bool)
    restored[[5, 6, 11]] = True
    encode_segment(decoded_frames(source), restored, info, choose_encoder(info, ".mkv"), tmp_path / "part.mkv")
    original = [av.VideoFrame.from_ndarray(each, "rgb24").reformat(format=pixel_format) for each in pictures]
    before = [psnr(a, b) for a, b in zip(decoded_frames(source), original, strict=True)]
    after = [psnr(a, b) for a, b in zip(decoded_frames(tmp_path / "part.mkv"), original, strict=True)]
    assert min(before) > 37
    assert max(np.subtract(before, after)[~restored]) < 0.1


def test_an_untouched_frame_that_begins_a_gop_amid_a_part_loses_as_little(tmp_path: Path) -> None:
    pictures = list(moving_texture(16, (192, 128)))
    source = encode_frames(tmp_path / "source.mp4", pictures, crf=20, pixel_format="yuv420p")
    info = probe(source, "source.mp4")
    restored = np.arange(16) < 10
    choice = replace(choose_encoder(info, ".mp4"), beside=beside(info))
    encode_segment(decoded_frames(source), restored, info, choice, tmp_path / "part.mkv", starts=(0, 10))
    original = [av.VideoFrame.from_ndarray(each, "rgb24").reformat(format="yuv420p") for each in pictures]
    before = [psnr(a, b) for a, b in zip(decoded_frames(source), original, strict=True)]
    after = [psnr(a, b) for a, b in zip(decoded_frames(tmp_path / "part.mkv"), original, strict=True)]
    assert max(np.subtract(before, after)[~restored]) < 0.1


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1"])
def test_part_has_ordinals_a_keyframe_first_and_the_same_headers_always(tmp_path: Path, codec: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=10, rate=Fraction(30000, 1001), audio=False)
    info = probe(clip, "a.mp4")
    choice = choose_encoder(info, ".mkv", EncodeSettings(codec=codec))
    headers = set()
    for number, restored in enumerate((np.zeros(10, bool), np.arange(10) == 4, np.ones(10, bool))):
        part = tmp_path / f"{number}.mkv"
        encode_segment(iter(decoded_frames(clip)), restored, info, choice, part)
        with av.open(str(part)) as container:
            stream = container.streams.video[0]
            headers.add(stream.codec_context.extradata)
            packets = [packet for packet in container.demux(stream) if packet.size]
        assert packets[0].is_keyframe
        assert sorted(1000 * packet.time_base * (packet.pts or 0) for packet in packets) == list(range(10))
    assert len(headers) == 1


def test_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=10, audio=False)
    info = probe(clip, "a.mp4")
    encode: Callable[[Path], None] = lambda path: encode_segment(  # noqa: E731
        decoded_frames(clip), np.arange(10) > 5, info, choose_encoder(info, ".mp4"), path
    )
    encode(tmp_path / "1.mkv")
    encode(tmp_path / "2.mkv")
    assert (tmp_path / "1.mkv").read_bytes() == (tmp_path / "2.mkv").read_bytes()


def test_h264_is_the_same_bytes_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As x264's plain C code gives them: what its code for newer processors gives differs with these, or at random."""
    clip = make_clip(tmp_path / "a.mp4", frames=12, size=(160, 96), audio=False)
    info = probe(clip, "a.mp4")
    for name in ("usual", "plain"):
        encode_segment(
            decoded_frames(clip), np.arange(12) > 3, info, choose_encoder(info, ".mp4"), tmp_path / f"{name}.mkv"
        )
        monkeypatch.setattr("deblur_core.video.encode.X264_PARAMS", {"asm": "0"})
    assert (tmp_path / "usual.mkv").read_bytes() == (tmp_path / "plain.mkv").read_bytes()


def test_full_range_of_old_formats_survives(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=4, pixel_format="yuvj420p", audio=False)
    info = probe(clip, "a.mp4")
    encode_segment(decoded_frames(clip), [False] * 4, info, choose_encoder(info, ".mp4"), tmp_path / "part.mkv")
    for before, after in zip(decoded_frames(clip), decoded_frames(tmp_path / "part.mkv"), strict=True):
        assert after.color_range == 2
        assert psnr(before, after) > 50


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1"])
@pytest.mark.parametrize("location", [1, 3], ids=["left", "top-left"])
def test_place_of_chroma_is_kept(tmp_path: Path, info: VideoInfo, codec: str, location: int) -> None:
    described = replace(info, chroma_location=location)
    choice = choose_encoder(described, ".mkv", EncodeSettings(codec=codec))
    clip = make_clip(tmp_path / "a.mp4", frames=2, audio=False)
    encode_segment(decoded_frames(clip), [True, False], described, choice, tmp_path / "part.mkv")
    assert probe(tmp_path / "part.mkv", "part.mkv").chroma_location == location


def test_jpegs_chroma_stays_in_the_centre(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=2, codec="mjpeg", pixel_format="yuvj420p", audio=False)
    info = probe(clip, "a.mkv")
    encode_segment(decoded_frames(clip), [True, False], info, choose_encoder(info, ".mkv"), tmp_path / "part.mkv")
    result = probe(tmp_path / "part.mkv", "part.mkv")
    assert (result.codec, info.chroma_location, result.chroma_location) == ("h264", 2, 2)


def test_frame_of_another_size_is_declined(tmp_path: Path, info: VideoInfo) -> None:
    other = decoded_frames(make_clip(tmp_path / "b.mp4", frames=2, size=(96, 64), audio=False))
    with pytest.raises(DeclinedVideoError, match="96x64"):
        encode_segment(other, [False, False], info, choose_encoder(info, ".mp4"), tmp_path / "part.mkv")


@pytest.mark.parametrize("count", [1, 3])
def test_wrong_number_of_frames_is_an_error(tmp_path: Path, info: VideoInfo, count: int) -> None:
    frames = decoded_frames(make_clip(tmp_path / "b.mp4", frames=count, audio=False))
    with pytest.raises(ValueError, match="frames"):
        encode_segment(frames, [False, False], info, choose_encoder(info, ".mp4"), tmp_path / "part.mkv")
