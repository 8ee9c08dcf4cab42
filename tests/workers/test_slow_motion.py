"""Slow motion through all stages in this process: moments in the places of restored frames, in the order of time."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from deblur_core.errors import DeclinedVideoError, SettingsError
from deblur_core.manifests.videos import VideoRecord
from deblur_core.models.restorer import ContextNeeds, FrameWindow
from deblur_core.verdict import VerdictLimits
from tests.media import (
    decoded_frames,
    encode_frames,
    frame_times,
    make_clip,
    moving_texture,
    packet_hashes,
    packet_times,
)
from tests.workers.shaken_clip import shaken_clip
from tests.workers.test_stages import Line, job_in, with_options
from workers.job import SegmentTask
from workers.stages.assemble import in_order, overlaid

pytestmark = pytest.mark.usefixtures("one_restorer")

MOMENTS = 7
EVERYTHING_IS_GOOD_ENOUGH = VerdictLimits(sharpness_gain=0.0, reblur_error=1.0, unexplained=1.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, Path, VideoRecord]:
    """A clip whose blurred stretch crosses the border of its two segments."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "in").mkdir()
    shaken_clip(folder / "in" / "clip.mp4", shaken=((22, 27),), size=(160, 112))
    line = Line(job_in(folder, slow_motion=MOMENTS, restorer="contiguous"))
    record = line.restore("clip.mp4")
    assert record is not None
    return line, folder, record


def test_each_restored_frame_became_its_moments_at_even_times(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, folder, record = finished
    rows = line.manifest("clip.mp4")
    before = frame_times(folder / "in" / "clip.mp4")
    restored = [row["action"] == "restored" for row in rows]
    assert {22, 23, 24, 25, 26} <= {row["frame"] for row in rows if row["action"] == "restored"}
    expected = [
        at + Fraction(moment, MOMENTS * 24)
        for at, slow in zip(before, restored, strict=True)
        for moment in range(MOMENTS if slow else 1)
    ]
    assert frame_times(folder / "out" / "clip.mp4") == expected
    assert (record.frames, record.restored) == (len(before), sum(restored))


def test_sound_and_duration_are_those_of_the_source(finished: tuple[Line, Path, VideoRecord]) -> None:
    _, folder, _ = finished
    source, result = folder / "in" / "clip.mp4", folder / "out" / "clip.mp4"
    assert packet_hashes(result, "audio") == packet_hashes(source, "audio")
    assert packet_times(result, "audio") == packet_times(source, "audio")
    with av.open(str(source)) as one, av.open(str(result)) as other:
        assert one.duration == other.duration


def test_the_manifest_keeps_one_row_for_each_frame_of_the_source(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, _, _ = finished
    rows = line.manifest("clip.mp4")
    assert [row["frame"] for row in rows] == list(range(48))
    assert {row["restorer"] for row in rows if row["action"] == "restored"} == {"contiguous"}


def test_slow_motion_is_another_version_of_the_video_and_done_once(finished: tuple[Line, Path, VideoRecord]) -> None:
    line, _, record = finished
    assert with_options(line.job, slow_motion=1).fingerprint != line.job.fingerprint
    again = Line(line.job)
    assert again.restore("clip.mp4") == record
    assert dict(again.calls) == {}


def test_without_a_blurred_frame_the_video_is_a_byte_copy(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = make_clip(tmp_path / "in" / "clip.mp4", frames=12, size=(96, 64))
    Line(job_in(tmp_path, slow_motion=MOMENTS, restorer="contiguous")).restore("clip.mp4")
    assert (tmp_path / "out" / "clip.mp4").read_bytes() == source.read_bytes()


class KnownMoments:
    """In place of a network: the true moments of a camera that moves a pixel a moment, every so often backwards."""

    device, moments, needs = torch.device("cpu"), MOMENTS, ContextNeeds()

    def __init__(self) -> None:
        self._calls = count()

    def restore_moments(self, window: FrameWindow) -> np.ndarray:
        number = next(self._calls)
        moments = np.stack([seen(number * MOMENTS + moment) for moment in range(MOMENTS)])
        return moments[::-1] if number % 5 in (0, 3) else moments


@lru_cache
def canvas() -> np.ndarray:
    """Structure of 32 px and more: what moves on by 7 px is no other shot."""
    return cv2.resize(next(iter(moving_texture(1, (112, 16), 2))), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)


def seen(x: int) -> np.ndarray:
    return canvas()[:, x : x + 96]


def test_moments_run_on_from_frame_to_frame_and_over_the_borders_of_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.setattr("workers.stages.deblur.load_restorer", lambda *_: KnownMoments())
    encode_frames(tmp_path / "in" / "clip.mp4", (seen(number * MOMENTS + 3) for number in range(48)))
    job = job_in(tmp_path, slow_motion=MOMENTS, threshold=0.0, limits=EVERYTHING_IS_GOOD_ENOUGH)
    record = Line(job).restore("clip.mp4")
    assert record is not None and record.restored == 48
    shown = [
        frame.to_ndarray(format="rgb24").astype(np.float32) for frame in decoded_frames(tmp_path / "out" / "clip.mp4")
    ]
    assert len(shown) == 48 * MOMENTS
    for number, picture in enumerate(shown):
        places = range(max(number - 6, 0), min(number + 7, len(shown)))
        errors = {place: float(np.abs(picture - seen(place)).mean()) for place in places}
        assert min(errors, key=errors.__getitem__) == number


def frames(*numbers: int) -> Iterator[tuple[int, av.VideoFrame]]:
    return ((number, av.VideoFrame(16, 16, "gray")) for number in numbers)


def test_moments_take_the_place_of_their_frame_in_the_order_that_was_found() -> None:
    decoded, stored = list(frames(4, 5, 6, 7)), list(frames(15, 16, 17, 18, 19, 20))
    merged = list(overlaid(iter(decoded), in_order(iter(stored), 3, {6}), "clip"))
    assert [number for number, _ in merged] == [4, 5, 5, 5, 6, 6, 6, 7]
    inserted = [stored[place][1] for place in (0, 1, 2, 5, 4, 3)]
    assert [frame for _, frame in merged] == [decoded[0][1], *inserted, decoded[3][1]]


def test_a_frame_too_short_for_its_moments_declines_the_video_before_it_is_restored(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "clip.mkv", frames=12, size=(96, 64), rate=200, audio=False)
    line = Line(job_in(tmp_path, slow_motion=MOMENTS, restorer="contiguous", threshold=0.0))
    task = line.task("clip.mkv")
    line.run("plan", task)
    line.run("classify", SegmentTask(task, 0, 0, 12))
    with pytest.raises(DeclinedVideoError, match=r"clip\.mkv: frame 0 is shown for 0\.0050 s"):
        line.run("deblur", SegmentTask(task, 0, 0, 12))


def test_a_restorer_that_gives_other_moments_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    line = Line(job_in(tmp_path, slow_motion=MOMENTS, restorer="default"))
    with pytest.raises(SettingsError, match="slow_motion = 7: the restorer 'default' gives 1"):
        line.run("deblur", None)
