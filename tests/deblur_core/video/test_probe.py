"""What probing says about files, and how it says no."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_core.errors import DamagedVideoError, NotAVideoError
from deblur_core.video.probe import probe
from tests.media import ColourTags, make_clip, odd_clips, truncate


def test_tells_codec_size_format_colour_and_streams(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "a.mp4", codec="libx265", pixel_format="yuv420p10le", colour=ColourTags(9, 1, 9, 16), audio=2
    )
    info = probe(clip, "a.mp4")
    assert (info.codec, info.width, info.height, info.pixel_format, info.bit_depth) == (
        "hevc", 192, 128, "yuv420p10le", 10,
    )  # fmt: skip
    assert (info.colorspace, info.color_range, info.color_primaries, info.color_trc) == (9, 1, 9, 16)
    assert [(each.kind, each.codec, each.language) for each in info.streams[1:]] == [
        ("audio", "aac", "eng"),
        ("audio", "aac", "deu"),
    ]
    assert info.duration_seconds == pytest.approx(2, abs=0.05)


def test_tells_rotation_and_pixel_aspect_ratio(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", rotation=90, sample_aspect_ratio=Fraction(4, 3), audio=False)
    info = probe(clip, "a.mp4")
    assert (info.rotation_degrees, info.sample_aspect_ratio) == (90, Fraction(4, 3))


def test_sees_that_a_clip_is_interlaced(tmp_path: Path) -> None:
    assert probe(make_clip(tmp_path / "i.mp4", interlaced=True, audio=False), "i.mp4").interlaced
    assert not probe(make_clip(tmp_path / "p.mp4", audio=False), "p.mp4").interlaced


def test_reads_an_open_file_as_well_as_a_path(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv")
    with clip.open("rb") as file:
        assert probe(file, "a.mkv") == probe(clip, "a.mkv")
        assert not file.closed


def test_text_with_a_videos_name_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("not a film\n" * 100)
    with pytest.raises(NotAVideoError, match=r"a\.mp4: is not a media file"):
        probe(path, "a.mp4")


def test_sound_alone_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(NotAVideoError, match="no video stream"):
        probe(path, "a.mp4")


def test_mp4_without_its_index_is_damaged(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    with pytest.raises(DamagedVideoError, match="cut short"):
        probe(truncate(clip, tmp_path / "cut.mp4", 0.5), "cut.mp4")


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_sees_transparency_that_decoders_leave_out(tmp_path: Path, codec: str) -> None:
    clip = odd_clips.transparent(tmp_path / "a.webm", codec, "yuva420p", frames=4)
    assert "transparency" in probe(clip, "a.webm").dynamic_metadata
    assert not probe(make_clip(tmp_path / "b.webm", codec=codec, frames=4, size=(64, 48)), "b.webm").dynamic_metadata


def test_yuv_with_the_matrix_of_rgb_is_yuv_of_no_known_matrix(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.flv", codec="libsvtav1", frames=4, size=(96, 64), audio=False)
    assert probe(clip, "a.flv").colorspace == 2
