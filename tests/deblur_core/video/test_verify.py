"""The check before publication names the first thing that is not as it was."""

from fractions import Fraction
from pathlib import Path

import pytest

from deblur_core.errors import VerificationError
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe
from deblur_core.video.verify import verify_rebuilt
from tests.media import make_clip, truncate


def check(source: Path, result: Path) -> None:
    verify_rebuilt(source, result, probe(source, "a"), index_video(source, "a"), result.name)


def test_a_copy_passes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", subtitles=True, chapters=True, audio=2)
    check(clip, clip)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frames": 47}, "has 47 frames and must have 48"),
        ({"frames": 49}, "more than the 48 frames"),
        ({"rate": 25}, r"frame 1 was shown at 0\.041667 s and would be at 0\.04"),
        ({"size": (96, 64)}, "size was"),
        ({"pixel_format": "yuv444p"}, "pixel format was yuv420p"),
        ({"rotation": 90}, "rotation was 0"),
        ({"sample_aspect_ratio": Fraction(4, 3)}, "pixel aspect ratio"),
        ({"audio": 2}, "other streams were"),
        ({"audio": False}, "other streams were"),
        ({"subtitles": True}, "other streams were"),
        ({"chapters": True}, "had 0 chapters"),
    ],
)
def test_a_difference_is_named(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    source = make_clip(tmp_path / "a.mp4")
    result = make_clip(tmp_path / "b.mp4", **changed)  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match=message):
        check(source, result)


def test_result_cut_short_is_not_readable(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv")
    with pytest.raises(VerificationError):
        check(clip, truncate(clip, tmp_path / "b.mkv", 0.6))
