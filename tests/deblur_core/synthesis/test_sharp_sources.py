"""What counts as sharp material in a folder, what it is called, and how it is read."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.errors import DamagedVideoError, DeclinedVideoError, NotAVideoError, UsageError
from deblur_core.synthesis.sharp_sources import PHOTOGRAPH_FRAMES, find_sources, open_clip
from tests.media import ColourTags, encode_frames, make_clip, moving_texture

SUFFIXES = (".mp4", ".mkv")


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
    return np.asarray(bgr[..., ::-1])


def names(folder: Path, rate: Fraction | None = None) -> list[tuple[str, str]]:
    return [(source.name, source.kind) for source in find_sources(folder, SUFFIXES, rate)]


def test_videos_and_photographs_are_found_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "walk.mp4").write_text("x")
    picture(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._a.png").write_text("x")
    assert names(tmp_path) == [("a", "photograph"), ("b__walk", "video")]


def test_equal_names_keep_their_suffix(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "b.mp4"):
        (tmp_path / name).write_text("x")
    assert names(tmp_path) == [("a.mkv", "video"), ("a.mp4", "video"), ("b", "video")]


def test_no_two_clips_share_a_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a__b.mp4", "a/b.mp4", "a/b.mkv"):
        (tmp_path / name).write_text("x")
    found = [name for name, _ in names(tmp_path)]
    assert len(set(found)) == 3


def test_with_a_rate_the_pictures_of_a_folder_are_one_clip(tmp_path: Path) -> None:
    frames = [picture(tmp_path / "gopr" / f"{number:06d}.png", number) for number in range(3)]
    (source,) = find_sources(tmp_path, SUFFIXES, Fraction(240))
    clip = open_clip(source, np.random.default_rng(0))
    assert (source.name, source.kind, clip.count, clip.rate) == ("gopr", "pictures", 3, 240)
    assert all(np.array_equal(a, b) for a, b in zip(clip.frames(), frames, strict=True))


def test_a_folder_without_material_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="holds 1 files but no video and no picture"):
        find_sources(tmp_path, SUFFIXES, None)
    with pytest.raises(UsageError, match="is no folder"):
        find_sources(tmp_path / "nowhere", SUFFIXES, None)


def test_the_frames_of_a_video_are_those_that_it_decodes_to(tmp_path: Path) -> None:
    pictures = list(moving_texture(9, (64, 48)))
    encode_frames(tmp_path / "a.mkv", pictures, rate=60, codec="ffv1", pixel_format="bgr0")
    (source,) = find_sources(tmp_path, SUFFIXES, None)
    clip = open_clip(source, np.random.default_rng(0), most_frames=5)
    frames = list(clip.frames())
    assert (clip.count, clip.rate, len(frames), frames[0].shape) == (5, 60, 5, (48, 64, 3))
    assert all(np.array_equal(frame, picture) for frame, picture in zip(frames, pictures, strict=False))


def test_a_video_is_turned_upright_and_made_smaller(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", frames=2, size=(128, 96), rotation=90)
    (source,) = find_sources(tmp_path, SUFFIXES, None)
    assert next(open_clip(source, np.random.default_rng(0)).frames()).shape == (128, 96, 3)
    assert next(open_clip(source, np.random.default_rng(0), shorter_side=48).frames()).shape == (64, 48, 3)


def test_a_camera_drifts_over_a_photograph_and_every_frame_is_a_cut_of_it(tmp_path: Path) -> None:
    whole = picture(tmp_path / "a.png", size=(100, 120))
    (source,) = find_sources(tmp_path, SUFFIXES, None)
    frames = list(open_clip(source, np.random.default_rng(1)).frames())
    assert len(frames) == PHOTOGRAPH_FRAMES and {frame.shape for frame in frames} == {(75, 90, 3)}
    cuts = {whole[y : y + 75, x : x + 90].tobytes(): (y, x) for y in range(26) for x in range(31)}
    places = [cuts[frame.tobytes()] for frame in frames]
    assert len(set(places)) > 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: path.write_text("no video"), NotAVideoError, "not a media file"),
        (lambda path: make_clip(path, frames=2, size=(64, 64), interlaced=True), DeclinedVideoError, "interlaced"),
        (
            lambda path: make_clip(path, frames=2, size=(64, 48), colour=ColourTags(9, 1, 9, 16)),
            DeclinedVideoError,
            "HDR",
        ),
        (lambda path: make_clip(path, frames=2, size=(48, 24)), DeclinedVideoError, "smaller than 32 pixels"),
    ],
)
def test_what_cannot_be_a_truth_is_named_with_its_reason(
    tmp_path: Path, make: object, error: type[Exception], words: str
) -> None:
    make(tmp_path / "odd.mp4")  # type: ignore[operator]
    (source,) = find_sources(tmp_path, SUFFIXES, None)
    with pytest.raises(error, match=rf"odd\.mp4.*{words}"):
        list(open_clip(source, np.random.default_rng(0)).frames())


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG no more")
    (source,) = find_sources(tmp_path, SUFFIXES, None)
    with pytest.raises(DamagedVideoError, match=r"a\.png: is not a readable picture"):
        open_clip(source, np.random.default_rng(0))


def test_pictures_of_different_sizes_are_no_clip(tmp_path: Path) -> None:
    picture(tmp_path / "c" / "0.png")
    picture(tmp_path / "c" / "1.png", size=(50, 80))
    (source,) = find_sources(tmp_path, SUFFIXES, Fraction(240))
    with pytest.raises(DeclinedVideoError, match="frame 1 has another size"):
        list(open_clip(source, np.random.default_rng(0)).frames())
