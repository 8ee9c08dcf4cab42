"""The index: frames, times, closed GOPs, segments, and files that hold less than they say."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.index import VideoIndex, closed_gop_starts, index_video, plan_segments
from tests.media import frame_times, make_clip, packet_times, remux, truncate


def times(index: VideoIndex) -> list[Fraction]:
    return [int(pts) * index.time_base for pts in index.pts]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.flv"])
def test_times_are_those_of_the_decoded_frames(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, variable_rate=True)
    index = index_video(clip, name)
    assert times(index) == frame_times(clip)
    assert not index.made_by_decoding


def test_closed_gops_with_b_frames_start_at_their_keyframes(tmp_path: Path) -> None:
    index = index_video(make_clip(tmp_path / "a.mp4", gop=12, bframes=3), "a.mp4")
    assert index.boundaries == (0, 12, 24, 36)
    assert index.is_keyframe[[0, 12, 24, 36]].all()


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_open_gops_are_not_boundaries(tmp_path: Path, codec: str) -> None:
    index = index_video(make_clip(tmp_path / "a.ts", codec=codec, open_gop=True, gop=12, audio=False), "a.ts")
    assert index.is_keyframe.sum() > 1
    assert index.boundaries == (0,)


def test_a_keyframe_shown_after_a_later_packet_is_no_boundary() -> None:
    pts = np.array([0, 2, 1, 5, 3, 4, 6], np.int64)
    keyframes = np.array([1, 0, 0, 1, 0, 0, 1], bool)
    assert closed_gop_starts(pts, keyframes) == (0, 6)


def test_frames_hidden_by_an_edit_list_are_not_in_the_index(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=48, start_seconds=Fraction(-7, 24))
    index = index_video(clip, "a.mp4")
    assert index.frame_count == 41
    assert times(index) == frame_times(clip)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.avi", "libx264"), ("a.h264", "libx264")])
def test_containers_without_times_are_indexed_by_decoding(tmp_path: Path, name: str, codec: str) -> None:
    clip = make_clip(tmp_path / name, codec=codec, audio=False)
    index = index_video(clip, name)
    assert index.made_by_decoding
    assert np.diff([float(time) for time in times(index)]) == pytest.approx(1 / 24, abs=0.002)


def test_recording_that_begins_inside_a_gop_has_only_the_frames_that_decode(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", open_gop=True, codec="libx265", gop=12, bframes=3, audio=False)
    cut = remux(clip, tmp_path / "cut.ts", skip_video_packets=12)
    index = index_video(cut, "cut.ts")
    assert index.frame_count < 36
    assert times(index) == frame_times(cut)


def test_hidden_reference_packets_of_vp8_are_not_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.webm", codec="libvpx", alternate_references=True, audio=False)
    index = index_video(clip, "a.webm")
    assert index.frame_count == 48
    assert times(index) == frame_times(clip)


def test_segments_are_whole_gops_up_to_the_limit(tmp_path: Path) -> None:
    index = index_video(make_clip(tmp_path / "a.mp4", frames=60, gop=12), "a.mp4")
    segments = plan_segments(index, max_frames=30)
    assert [(each.number, each.first_frame, each.stop_frame) for each in segments] == [
        (0, 0, 24),
        (1, 24, 48),
        (2, 48, 60),
    ]


def test_gop_longer_than_the_limit_stays_whole(tmp_path: Path) -> None:
    index = index_video(make_clip(tmp_path / "a.mp4", frames=60, gop=40), "a.mp4")
    assert [each.frame_count for each in plan_segments(index, max_frames=10)] == [40, 20]


def test_a_few_last_frames_are_no_segment_of_their_own(tmp_path: Path) -> None:
    index = index_video(make_clip(tmp_path / "a.mp4", frames=62, gop=2), "a.mp4")
    assert [each.frame_count for each in plan_segments(index, max_frames=30)] == [30, 32]
    assert [each.frame_count for each in plan_segments(index, max_frames=20)] == [20, 20, 20, 2]
    assert [each.frame_count for each in plan_segments(index, max_frames=62)] == [62]


def test_mp4_cut_in_its_media_data_is_damaged(tmp_path: Path) -> None:
    clip = remux(make_clip(tmp_path / "a.mp4"), tmp_path / "fast.mp4", faststart=True)
    with pytest.raises(DamagedVideoError, match="cut short"):
        index_video(truncate(clip, tmp_path / "cut.mp4", 0.6), "cut.mp4")


def test_matroska_cut_short_is_damaged(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=96)
    with pytest.raises(DamagedVideoError, match=r"cut short|cannot be read"):
        index_video(truncate(clip, tmp_path / "cut.mkv", 0.5), "cut.mkv")


@pytest.mark.parametrize(("name", "codec"), [("late.mkv", "libx264"), ("late.webm", "libvpx-vp9")])
def test_matroska_that_starts_late_is_not_cut_short(tmp_path: Path, name: str, codec: str) -> None:
    clip = make_clip(tmp_path / name, codec=codec, start_seconds=Fraction(5, 4), frames=24, size=(64, 48))
    assert times(index_video(clip, name)) == frame_times(clip)


@pytest.mark.parametrize("bframes", [0, 2])
def test_a_program_stream_has_the_times_that_it_stores(tmp_path: Path, bframes: int) -> None:
    clip = make_clip(tmp_path / "a.mpg", codec="mpeg2video", bframes=bframes, frames=24, size=(96, 64))
    assert times(index_video(clip, "a.mpg")) == frame_times(clip)


def test_frames_of_an_avi_are_shown_as_late_as_their_decoder_gives_them(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", codec="mpeg4", bframes=2, frames=24, size=(96, 64))
    shown = times(index_video(clip, "a.avi"))
    assert shown == frame_times(clip)
    assert shown[0] - packet_times(clip, "audio")[0] == Fraction(1, 24)


def test_times_that_are_missing_and_cannot_be_told_are_declined(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mpg", codec="libx264", bframes=2, gop=6, frames=24, size=(96, 64))
    with pytest.raises(DeclinedVideoError, match="stores times for some of its frames only"):
        index_video(clip, "a.mpg")
