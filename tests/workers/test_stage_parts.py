"""The small decisions of the stages: which frames are measured, where restored ones go, how an index is kept."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.video.index import VideoIndex, index_video
from tests.media import make_clip
from workers.planned_video import index_from_bytes, index_to_bytes
from workers.stages.assemble import overlaid
from workers.stages.classify import measured_frames, seen_frames


def numbered(*numbers: int) -> Iterator[tuple[int, av.VideoFrame]]:
    return ((number, av.VideoFrame(16, 16, "gray")) for number in numbers)


def test_without_a_stride_every_frame_is_measured_for_itself() -> None:
    measured, owner = measured_frames(7, 1)
    assert measured.all()
    assert owner.tolist() == list(range(7))


def test_with_a_stride_of_15_the_eighth_frame_speaks_for_its_group() -> None:
    measured, owner = measured_frames(45, 15)
    assert np.flatnonzero(measured).tolist() == [7, 22, 37]
    assert owner.tolist() == [7] * 15 + [22] * 15 + [37] * 15


@pytest.mark.parametrize("count", [1, 2, 14, 16, 31, 44])
def test_a_last_group_that_is_shorter_is_spoken_for_by_its_own_middle(count: int) -> None:
    measured, owner = measured_frames(count, 15)
    last = owner[count // 15 * 15 :]
    assert measured.sum() == -(-count // 15)
    assert measured[owner].all()
    if len(last):
        assert set(last.tolist()) == {count // 15 * 15 + len(last) // 2}


@pytest.mark.parametrize(("count", "stride", "seen"), [(300, 15, 20), (90, 15, 24), (24, 10, 20), (9, 3, 9), (1, 1, 1)])
def test_the_selector_sees_enough_frames_to_judge_them_by_each_other(count: int, stride: int, seen: int) -> None:
    measured, _ = measured_frames(count, stride)
    looked_at = seen_frames(measured, 20)
    assert looked_at[measured].all()
    assert looked_at.sum() == seen
    assert np.diff(np.flatnonzero(looked_at), prepend=0, append=count - 1).max() <= max(count // 10 + 1, stride)


def test_a_restored_frame_takes_the_place_of_its_original_and_no_other() -> None:
    originals, restored = list(numbered(10, 11, 12, 13)), list(numbered(11, 13))
    merged = list(overlaid(iter(originals), iter(restored), "clip"))
    assert [number for number, _ in merged] == [10, 11, 12, 13]
    assert [frame for _, frame in merged] == [originals[0][1], restored[0][1], originals[2][1], restored[1][1]]


def test_without_an_overlay_the_frames_pass_unchanged() -> None:
    originals = list(numbered(0, 1))
    assert list(overlaid(iter(originals), iter(()), "clip")) == originals


@pytest.mark.parametrize("stray", [9, 12])
def test_a_restored_frame_that_finds_no_place_is_an_error(stray: int) -> None:
    with pytest.raises(ValueError, match=f"clip: the overlay holds frame {stray}"):
        list(overlaid(numbered(10, 11), numbered(stray), "clip"))


def assert_same(index: VideoIndex, other: VideoIndex) -> None:
    for name in ("pts", "is_keyframe"):
        assert np.array_equal(getattr(index, name), getattr(other, name))
        assert getattr(index, name).dtype == getattr(other, name).dtype
    for name in ("gop", "is_cut", "refers_back"):
        assert np.array_equal(getattr(index, name), getattr(other, name))
    for name in ("time_base", "boundaries", "boundary_dts", "last_duration", "size_bytes", "made_by_decoding"):
        assert getattr(index, name) == getattr(other, name)


@pytest.mark.parametrize("options", [{}, {"variable_rate": True}, {"start_seconds": Fraction(-1, 8)}])
def test_an_index_comes_back_from_its_parquet_form(tmp_path: Path, options: dict[str, Any]) -> None:
    index = index_video(make_clip(tmp_path / "clip.mp4", frames=30, size=(64, 48), **options), "clip.mp4")
    assert_same(index_from_bytes(index_to_bytes(index), "index"), index)


def test_an_index_made_by_decoding_comes_back_from_its_parquet_form(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=20, size=(64, 48), audio=False)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "raw.h264"), "w", format="h264") as raw:
        stream = raw.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                raw.mux(packet)
    index = index_video(tmp_path / "raw.h264", "raw.h264")
    assert index.made_by_decoding
    assert_same(index_from_bytes(index_to_bytes(index), "index"), index)
