"""Decoding gives exactly the frames that were asked for, wherever the range starts."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import DamagedVideoError
from deblur_core.video.decode import _earlier_and_earlier, decode_frames
from deblur_core.video.index import index_video
from tests.media import frame_hash, frame_hashes, make_clip

CLIPS: dict[str, dict[str, Any]] = {
    "closed.mp4": {},
    "open.mp4": {"open_gop": True},
    "open.ts": {"open_gop": True, "codec": "libx265"},
    "stream.ts": {"variable_rate": True},
    "variable.mkv": {"variable_rate": True},
    "hidden.mp4": {"start_seconds": Fraction(-7, 24)},
    "late.mov": {"start_seconds": 1},
    "old.avi": {"codec": "mpeg4"},
    "h264.avi": {},
    "raw.h264": {"audio": False},
    "web.webm": {"codec": "libvpx-vp9"},
    "flash.flv": {},
}


@pytest.mark.parametrize("name", CLIPS)
def test_any_range_is_exact(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=40, **CLIPS[name])
    index, expected = index_video(clip, name), frame_hashes(clip)
    assert index.frame_count == len(expected)
    choose = random.Random(1)
    for _ in range(6):
        first = choose.randrange(index.frame_count)
        stop = min(index.frame_count, first + choose.randrange(1, 15))
        got = list(decode_frames(clip, index, first, stop, name, threads=choose.choice([1, 2])))
        assert [number for number, _ in got] == list(range(first, stop))
        assert [frame_hash(frame) for _, frame in got] == expected[first:stop]
        assert [frame.pts for _, frame in got] == index.pts[first:stop].tolist()


def test_reads_an_open_file_again_and_again(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    expected = frame_hashes(clip)
    with clip.open("rb") as file:
        index = index_video(file, "a.mp4")
        for first in (30, 5):
            frames = [frame for _, frame in decode_frames(file, index, first, first + 4, "a.mp4")]
            assert [frame_hash(frame) for frame in frames] == expected[first : first + 4]


def test_range_outside_the_index_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=10)
    with pytest.raises(ValueError, match="not within its 10 frames"):
        next(decode_frames(clip, index_video(clip, "a.mp4"), 5, 11, "a.mp4"))


def test_another_file_under_the_same_name_is_noticed(tmp_path: Path) -> None:
    index = index_video(make_clip(tmp_path / "a.mp4", frames=40), "a.mp4")
    shorter = make_clip(tmp_path / "b.mp4", frames=30)
    with pytest.raises(DamagedVideoError, match=r"at 1\.250 s"):
        list(decode_frames(shorter, index, 26, 40, "a.mp4"))


def test_overwritten_pictures_are_damage(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", audio=False)
    index = index_video(clip, "a.mkv")
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(range(256)) * 15 + bytes(160)
    clip.write_bytes(data)
    with pytest.raises(DamagedVideoError):
        list(decode_frames(clip, index, 0, index.frame_count, "a.mkv"))


def test_where_a_keyframe_cannot_be_trusted_earlier_ones_are_tried_in_few_steps() -> None:
    assert list(_earlier_and_earlier(13)) == [13, 12, 10, 6, 0]
    assert list(_earlier_and_earlier(1)) == [1, 0]
    assert list(_earlier_and_earlier(0)) == [0]
