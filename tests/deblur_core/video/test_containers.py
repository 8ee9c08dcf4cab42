"""What a container is said to hold is what FFmpeg's muxer for it takes when the header is written."""

import io
from pathlib import Path

import av
import pytest

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.containers import holds, muxer_for
from deblur_core.video.held_streams import start
from tests.media import make_clip

ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("codecs")
    return {each: make_clip(folder / f"{each}.mkv", frames=12, size=(64, 64), codec=each) for each in ENCODERS}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".3gp", ".3g2"])
def test_a_container_holds_what_its_muxer_takes(clips: dict[str, Path], suffix: str) -> None:
    muxer = muxer_for("a" + suffix)
    assert {each for each in ENCODERS if holds(muxer, each)} == {
        each for each in ENCODERS if _takes(muxer, clips[each])
    }


def _takes(muxer: str, clip: Path) -> bool:
    with av.open(str(clip)) as source, av.open(io.BytesIO(), "w", format=muxer) as target:
        try:
            target.add_stream_from_template(source.streams.video[0], opaque=True)
            target.start_encoding()
        except (ValueError, av.FFmpegError):
            return False
    return True


def test_a_refused_header_names_the_streams_and_no_file(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=2, size=(64, 64), codec="libvpx-vp9")
    with av.open(str(clip)) as source, av.open(str(tmp_path / "secret.mov"), "w") as target:
        for stream in source.streams:
            target.add_stream_from_template(stream, opaque=True)
        with pytest.raises(DeclinedVideoError) as refused:
            start(target, "b.mov")
    words = str(refused.value)
    assert words.startswith("b.mov: a mov file cannot hold its streams (video vp9, audio aac) together: ")
    assert "secret" not in words
    assert str(tmp_path) not in words
