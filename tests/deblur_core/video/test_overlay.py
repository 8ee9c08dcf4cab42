"""The overlay file: restored frames travel without loss and under their own numbers."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

from deblur_core.errors import DamagedVideoError
from deblur_core.video.overlay import OverlayWriter, read_overlay
from deblur_core.video.pixel_format import samples, to_plain
from deblur_core.video.probe import probe
from tests.media import ColourTags, decoded_frames, frame_hash, make_clip, truncate

FORMATS = [
    ("libx264", "yuv420p"),
    ("libx264", "yuvj420p"),
    ("libx264", "yuv444p"),
    ("libx265", "yuv420p10le"),
    ("libx264", "yuv422p10le"),
]


@pytest.mark.parametrize(("codec", "pixel_format"), FORMATS)
def test_frames_come_back_exactly_with_their_numbers_and_tags(tmp_path: Path, codec: str, pixel_format: str) -> None:
    colour = ColourTags(9, 1, 9, 16)
    clip = make_clip(tmp_path / "a.mp4", frames=3, codec=codec, pixel_format=pixel_format, colour=colour, audio=False)
    info, frames = probe(clip, "a.mp4"), decoded_frames(clip)
    numbers = (3, 4, 10_000_001)
    expected = [(number, frame_hash(to_plain(frame))) for number, frame in zip(numbers, frames, strict=True)]
    tags = [(frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc) for frame in frames]
    with OverlayWriter(tmp_path / "o.mkv", info) as overlay:
        for number, frame in zip(numbers, frames, strict=True):
            overlay.add(number, frame)
    read = list(read_overlay(tmp_path / "o.mkv"))
    assert [(number, frame_hash(frame)) for number, frame in read] == expected
    assert [(each.color_range, each.colorspace, each.color_primaries, each.color_trc) for _, each in read] == tags


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (3, 8), (17, 3)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gray"])
def test_the_smallest_pictures_fit_too(tmp_path: Path, size: tuple[int, int], pixel_format: str) -> None:
    plain = probe(make_clip(tmp_path / "a.mp4", frames=1, size=(64, 48), audio=False), "a.mp4")
    info = replace(plain, width=size[0], height=size[1], pixel_format=pixel_format)
    frame = av.VideoFrame(*size, pixel_format)
    for plane in range(len(frame.planes)):
        samples(frame, plane)[:] = 60 + plane
    expected = frame_hash(frame)
    with OverlayWriter(tmp_path / "o.mkv", info) as overlay:
        overlay.add(7, frame)
    assert [(number, frame_hash(each)) for number, each in read_overlay(tmp_path / "o.mkv")] == [(7, expected)]


def test_overlay_without_frames_is_allowed(tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", frames=2, audio=False), "a.mp4")
    with OverlayWriter(tmp_path / "o.mkv", info):
        pass
    assert list(read_overlay(tmp_path / "o.mkv")) == []


def test_numbers_must_rise(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, audio=False)
    first, second = decoded_frames(clip)
    with OverlayWriter(tmp_path / "o.mkv", probe(clip, "a.mp4")) as overlay:
        overlay.add(5, first)
        with pytest.raises(ValueError, match="numbers must rise"):
            overlay.add(5, second)


@pytest.mark.parametrize("keep", [0.02, 0.4, 0.8])
def test_cut_overlay_is_damaged(tmp_path: Path, keep: float) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=4, audio=False)
    with OverlayWriter(tmp_path / "o.mkv", probe(clip, "a.mp4")) as overlay:
        for number, frame in enumerate(decoded_frames(clip)):
            overlay.add(number, frame)
    cut = truncate(tmp_path / "o.mkv", tmp_path / "cut.mkv", keep)
    with pytest.raises(DamagedVideoError):
        list(read_overlay(cut))
