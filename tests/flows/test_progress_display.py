"""What a person sees of a run: lines without a terminal, bars by stage on one."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from flows import progress_display
from flows.inventory import Inventory
from workers.job import Job, RestoreOptions
from workers.progress import Snapshot, StageProgress

INVENTORY = Inventory(Job("run", "/in", "/out", "/work", RestoreOptions()), (), (), (), 0)
SNAPSHOT = Snapshot(
    {
        "plan": StageProgress(calls=3),
        "classify": StageProgress(frames=300, actors=1),
        "deblur": StageProgress(frames=40, queued_frames=80, actors=2),
        "assemble": StageProgress(frames=0, queued_frames=300, actors=1),
        "publish": StageProgress(),
    },
    videos_total=3,
    videos_done=1,
)
RATES = {"classify": 150.0, "deblur": 0.5, "assemble": 0.0}


def test_a_line_names_videos_stages_rates_and_the_time_that_the_slowest_stage_needs() -> None:
    line = progress_display._plain(SNAPSHOT, RATES)
    assert line == ("videos 1/3  classify 300 (150.0/s)  deblur 40 (0.5/s)  assemble 0 (0.0/s)  left 2:40")


def test_failed_videos_are_told_at_once() -> None:
    assert "videos 1/3 failed 1  " in progress_display._plain(replace(SNAPSHOT, videos_failed=1), RATES)


@pytest.mark.parametrize(("rate", "left"), [(80.0, "0:01"), (1.0, "1:20"), (80 / 3600, "1:00:00"), (0.0, "—")])
def test_the_time_left_is_told_in_minutes_or_hours(rate: float, left: str) -> None:
    assert progress_display._left(SNAPSHOT, {"deblur": rate}) == left


def test_the_bars_name_frames_rates_and_actors_of_each_stage() -> None:
    page = io.StringIO()
    Console(file=page, width=120).print(progress_display._picture(SNAPSHOT, RATES))
    text = page.getvalue()
    assert "40/120 frames" in text
    assert "0.5 frames/s" in text
    assert "2 actors" in text
    assert "1/3 videos" in text
    assert "time left 2:40" in text


def test_without_a_terminal_lines_are_written_and_the_last_look_ends_with_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_display, "_LINE_EVERY_SECONDS", 0.02)
    with progress_display.shown(INVENTORY, lambda: SNAPSHOT):
        time.sleep(0.2)
    first = capsys.readouterr()
    time.sleep(0.1)
    assert first.out == ""
    assert first.err.startswith("videos 1/3  classify 300")
    assert "\x1b" not in first.err
    assert capsys.readouterr().err == ""


def test_the_picture_of_a_video_shades_its_blurred_stretch(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    from flows.commands.timeline import draw_timeline

    probability = np.where(np.arange(100) < 50, 0.1, 0.9)
    draw_timeline(tmp_path / "line.png", probability, np.arange(100) / 25.0, 0.5, "clip – ü.mp4")
    picture = cv2.imread(str(tmp_path / "line.png"))
    height, width = picture.shape[:2]
    sharp, blurred = picture[height // 3, width // 4], picture[height // 3, 3 * width // 4]
    assert sharp.tolist() == [255, 255, 255]
    assert int(blurred[2]) > int(blurred[0])


def test_a_picture_of_a_single_frame_can_be_drawn(tmp_path: Path) -> None:
    import numpy as np

    from flows.commands.timeline import draw_timeline

    draw_timeline(tmp_path / "one.png", np.array([1.0]), np.array([0.0]), 0.5, "one")
    assert (tmp_path / "one.png").stat().st_size > 0
