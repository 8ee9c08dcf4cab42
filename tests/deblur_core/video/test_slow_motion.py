"""Moments share their frame's interval exactly, all other frames keep theirs, and a whole video can be put together."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.errors import DeclinedVideoError, VerificationError
from deblur_core.video.containers import output_name
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import choose_encoder, encode_segment
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.index import index_video, plan_segments
from deblur_core.video.picture_metadata import read_picture_metadata
from deblur_core.video.probe import probe
from deblur_core.video.rebuild import rebuild
from deblur_core.video.slow_motion import SlowedFrames, frame_of, moment_number, slowed
from deblur_core.video.verify import verify_rebuilt
from tests.deblur_core.video.test_picture_metadata import with_messages
from tests.media import frame_times, make_clip, packet_hashes, packet_times


def times(durations: list[int], time_base: Fraction, start: int = 0) -> FrameTimes:
    pts = start + np.cumsum([0, *durations[:-1]])
    return FrameTimes(pts.astype(np.int64), time_base, durations[-1])


def marks(*numbers: int, count: int) -> np.ndarray:
    return np.isin(np.arange(count), numbers)


def seconds(shown: FrameTimes) -> list[Fraction]:
    return [int(each) * shown.time_base for each in shown.pts]


def test_a_frame_s_moments_share_its_interval_and_the_others_stay() -> None:
    slow = slowed(times([7, 14, 7], Fraction(1, 70)), marks(1, count=3), 7, "mp4", "a.mp4")
    assert slow.times.time_base == Fraction(1, 70)
    assert slow.times.pts.tolist() == [0, 7, 9, 11, 13, 15, 17, 19, 21]
    assert slow.times.last_duration == 7
    assert slow.source_frame.tolist() == [0, *[1] * 7, 2]


def test_ticks_that_cannot_be_divided_become_finer_ones() -> None:
    source = times([512, 512, 512], Fraction(1, 12288), start=-512)
    slow = slowed(source, marks(0, 2, count=3), 7, "mov", "a.mov")
    assert slow.times.time_base == Fraction(1, 7 * 12288)
    assert seconds(slow.times)[:8] == [Fraction(512 * (k - 7), 7 * 12288) for k in range(8)]
    assert slow.times.last_duration == 512


def test_the_last_frame_s_moments_end_where_it_ended() -> None:
    slow = slowed(times([10, 10, 21], Fraction(1, 1000)), marks(2, count=3), 7, "mp4", "a.mp4")
    assert seconds(slow.times)[2:] == [Fraction(20 + 3 * k, 1000) for k in range(7)]
    assert slow.times.last_duration * slow.times.time_base == Fraction(3, 1000)


@pytest.mark.parametrize(("muxer", "tick"), [("matroska", Fraction(1, 1000)), ("mpegts", Fraction(1, 90000))])
def test_a_container_with_a_tick_of_its_own_gets_the_nearest(muxer: str, tick: Fraction) -> None:
    source = times([1] * 5, Fraction(1001, 24000))
    slow = slowed(source, marks(1, 2, count=5), 7, muxer, "a.avi")
    assert slow.times.time_base == tick
    exact = [Fraction(1001, 24000) * Fraction(number, 7) for number in (0, *range(7, 21), 21, 28)]
    assert all(abs(at - true) <= tick / 2 for at, true in zip(seconds(slow.times), exact, strict=True))


def test_a_time_scale_that_mp4_cannot_hold_falls_back_to_the_source_s_ticks() -> None:
    slow = slowed(times([10**7] * 3, Fraction(1, 10**9)), marks(1, count=3), 7, "mp4", "a.mp4")
    assert slow.times.time_base == Fraction(1, 10**9)
    assert slow.times.pts[1:9].tolist() == [round(10**7 + Fraction(10**7 * k, 7)) for k in range(8)]


@pytest.mark.parametrize("muxer", ["mp4", "mov", "matroska", "mpegts"])
def test_whatever_the_times_they_rise_last_as_long_and_leave_the_others(muxer: str) -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        base = Fraction(1, int(random.choice([24, 600, 1000, 12800, 30000, 90000]))) * int(random.choice([1, 1001]))
        shortest = max(int(np.ceil(Fraction(7, 1000) / base)), 1)
        source = times((shortest + random.integers(0, 90, 20)).tolist(), base, int(random.integers(-50, 50)))
        restored = random.random(20) < 0.4
        slow = slowed(source, restored, 7, muxer, "a")
        shown = slow.times
        assert (np.diff(shown.pts) > 0).all() and shown.last_duration > 0
        assert shown.frame_count == 20 + 6 * restored.sum() == len(slow.source_frame)
        tolerance = 0 if muxer in ("mp4", "mov") else shown.time_base / 2
        assert abs(sum(shown.durations().tolist()) * shown.time_base - source.duration) <= 2 * tolerance
        starts = np.searchsorted(slow.source_frame, np.arange(20))
        pairs = zip(np.array(seconds(shown))[starts], seconds(source), strict=True)
        assert all(abs(at - before) <= tolerance for at, before in pairs)


def test_a_frame_too_short_for_the_container_s_ticks_is_declined_and_named() -> None:
    source = times([40, 4, 40], Fraction(1, 1000))
    with pytest.raises(DeclinedVideoError, match=r"a\.mkv: frame 1 is shown for 0\.0040 s, too short for 7 moments"):
        slowed(source, marks(1, count=3), 7, "matroska", "a.mkv")
    assert slowed(source, marks(0, count=3), 7, "matroska", "a.mkv").times.frame_count == 9
    assert slowed(source, marks(1, count=3), 7, "mp4", "a.mp4").times.frame_count == 9


def test_the_average_rate_counts_the_moments() -> None:
    slow = slowed(times([1] * 10, Fraction(1, 25)), marks(*range(5), count=10), 7, "mp4", "a.mp4")
    assert slow.average_rate == 100


def test_every_moment_has_the_facts_of_its_frame() -> None:
    slow = slowed(times([7] * 3, Fraction(1, 70)), marks(1, count=3), 3, "mp4", "a.mp4")
    assert slow.of_each({0: "a", 1: "b"}) == {0: "a", 1: "b", 2: "b", 3: "b"}
    assert slow.of_each({}) == {}


def test_moment_numbers_rise_and_lead_back_to_their_frames() -> None:
    numbers = [moment_number(frame, moment, 7) for frame in (3, 4) for moment in range(7)]
    assert numbers == sorted(set(numbers))
    assert [frame_of(number, 7) for number in numbers] == [3] * 7 + [4] * 7
    assert moment_number(5, 0, 1) == 5


CLIPS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "variable.mp4": {"variable_rate": True, "rate": Fraction(30000, 1001)},
    "hidden.mp4": {"start_seconds": Fraction(-7, 24)},
    "late.mov": {"start_seconds": Fraction(5, 4)},
    "stream.ts": {},
    "variable.mkv": {"variable_rate": True},
    "old.avi": {"codec": "mpeg4"},
    "deep.mp4": {"codec": "libx265", "pixel_format": "yuv420p10le"},
}


def slow_rebuilt(clip: Path, folder: Path) -> tuple[Path, SlowedFrames]:
    """The clip with every third frame shown seven times over, the last one too."""
    info, index = probe(clip, clip.name), index_video(clip, clip.name)
    out = folder / f"out-{output_name(clip.name)}"
    restored = np.arange(index.frame_count) % 3 == (index.frame_count - 1) % 3
    parts = []
    for segment in plan_segments(index, 12):
        chosen = restored[segment.first_frame : segment.stop_frame]
        decoded = decode_frames(clip, index, segment.first_frame, segment.stop_frame, clip.name)
        frames = (frame for number, frame in decoded for _ in range(7 if restored[number] else 1))
        parts.append(folder / f"part{segment.number}.mkv")
        flags = np.repeat(chosen, np.where(chosen, 7, 1))
        encode_segment(frames, flags, info, choose_encoder(info, out.suffix), parts[-1])
    muxer = {".mp4": "mp4", ".mov": "mov", ".ts": "mpegts"}.get(out.suffix, "matroska")
    slow = slowed(index, restored, 7, muxer, clip.name)
    rebuild(clip, clip.name, info, index, parts, out, out.name, slow)
    verify_rebuilt(clip, out, info, slow.times, out.name)
    return out, slow


@pytest.mark.parametrize("name", CLIPS)
def test_a_slowed_video_passes_its_check_with_times_to_the_tick_and_sound_as_it_was(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=16, size=(96, 64), gop=4, **CLIPS[name])
    out, slow = slow_rebuilt(clip, tmp_path)
    assert frame_times(out) == seconds(slow.times)
    assert packet_hashes(out, "audio") == packet_hashes(clip, "audio")
    if not name.endswith(".avi"):
        assert packet_times(out, "audio") == packet_times(clip, "audio")


@pytest.mark.parametrize("name", ["plain.mp4", "plain.mkv"])
def test_the_file_says_its_new_average_rate_and_its_old_duration(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=16, size=(96, 64), gop=4, audio=False)
    out, slow = slow_rebuilt(clip, tmp_path)
    with av.open(str(clip)) as before, av.open(str(out)) as after:
        assert float(after.streams.video[0].average_rate or 0) == pytest.approx(float(slow.average_rate), rel=1e-3)
        assert after.duration == pytest.approx(before.duration, abs=1000)


def test_a_missing_moment_is_noticed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=8, size=(96, 64), gop=4)
    out, slow = slow_rebuilt(clip, tmp_path)
    later = SlowedFrames(times([1] * (slow.times.frame_count + 1), slow.times.time_base), slow.source_frame)
    with pytest.raises(VerificationError):
        verify_rebuilt(clip, out, probe(clip, "a.mp4"), later.times, "a.mp4")


def test_hdr_messages_stand_at_every_moment_of_their_frame(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "a.mp4", frames=6, size=(96, 64), codec="libx265", audio=False)
    clip = with_messages(plain, tmp_path / "b.mp4")
    index = index_video(clip, "b.mp4")
    info = replace(probe(clip, "b.mp4"), dynamic_metadata=("HDR10+",))
    before = read_picture_metadata(clip, index, "b.mp4")
    slow = slowed(index, marks(1, 2, count=6), 3, "mp4", "b.mp4")
    decoded = decode_frames(clip, index, 0, 6, "b.mp4")
    frames = (frame for number, frame in decoded for _ in range(3 if number in (1, 2) else 1))
    encode_segment(frames, slow.source_frame % 2 == 0, info, choose_encoder(info, ".mp4"), tmp_path / "part.mkv")
    out = tmp_path / "out.mp4"
    rebuild(clip, "b.mp4", info, index, [tmp_path / "part.mkv"], out, "out.mp4", slow)
    after = read_picture_metadata(out, index_video(out, "out.mp4"), "out.mp4")
    assert after == slow.of_each(before)
    assert [frame for frame in slow.source_frame if frame in before] == [0, 2, 2, 2, 4]
