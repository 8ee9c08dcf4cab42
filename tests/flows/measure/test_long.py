"""The long film is what an encoder would have made, and what is measured of a run is what /proc and the disk say."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from deblur_core.errors import UsageError
from flows.measure.long_source import LOOP_SECONDS, LongVideo, Picture, make_long_video
from flows.measure.watched_run import DRIVER, Watched, bytes_below, look_at_processes

PICTURE = Picture(160, 96, Fraction(5), 400_000)
LOOPS = 3
HELD_BYTES = 96 << 20
HOLDS_MEMORY = f"""
import subprocess, sys
if len(sys.argv) > 1:
    held = bytes({HELD_BYTES})
    held = held.replace(b"\\0", b"x")
    print("held", flush=True)
    sys.stdin.read()
else:
    subprocess.run([sys.executable, __file__, "child"])
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> LongVideo:
    return make_long_video(tmp_path_factory.mktemp("long") / "film.mp4", PICTURE, LOOPS, [1])


def test_pictures_and_sound_go_on_without_a_gap(film: LongVideo) -> None:
    with av.open(str(film.path)) as container:
        stream = container.streams.video[0]
        shown = [(frame.pts * frame.time_base, frame.key_frame) for frame in container.decode(stream)]
    assert shown == [(n / PICTURE.rate, n % PICTURE.gop == 0) for n in range(LOOPS * PICTURE.loop_frames)]
    assert film.frames == len(shown)
    with av.open(str(film.path)) as container:
        sound = [(packet.pts, packet.duration) for packet in container.demux(audio=0) if packet.size]
    assert [pts for pts, _ in sound] == [sound[0][0] + 1024 * number for number in range(len(sound))]
    assert len(sound) * 1024 == LOOPS * LOOP_SECONDS * 48000


def test_only_the_frames_that_it_names_are_blurred(film: LongVideo) -> None:
    with av.open(str(film.path)) as container:
        sharpness = np.array([detail(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)])
    blurred = sharpness < 0.94 * np.median(sharpness)
    assert np.flatnonzero(blurred).tolist() == list(film.shaken)


def detail(luma: np.ndarray) -> float:
    """Of the texture; the noise is smoothed away."""
    smooth = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 1.5)
    return float(cv2.Sobel(smooth, cv2.CV_32F, 1, 0).var() + cv2.Sobel(smooth, cv2.CV_32F, 0, 1).var())


def test_a_rate_without_whole_gops_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multiple of 5/8"):
        make_long_video(tmp_path / "film.mp4", Picture(160, 96, Fraction(24000, 1001), 400_000), 1, [])


def test_the_memory_of_descendants_is_seen(tmp_path: Path) -> None:
    script = tmp_path / "holds.py"
    script.write_text(HOLDS_MEMORY)
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen: dict[int, Watched] = {}
        look_at_processes(process.pid, seen, with_pss=True)
        process.communicate()
    child = max(seen.values(), key=lambda each: each.peak_rss)
    assert len(seen) == 2
    assert seen[process.pid].title == DRIVER
    assert child is not seen[process.pid]
    assert child.peak_rss >= child.peak_pss >= HELD_BYTES


def test_the_bytes_of_a_folder_are_those_on_disk(tmp_path: Path) -> None:
    (tmp_path / "ray" / "logs").mkdir(parents=True)
    (tmp_path / "ray" / "logs" / "a").write_bytes(b"x" * 8192)
    (tmp_path / "part.mkv").write_bytes(b"x" * 100_000)
    assert 100_000 <= bytes_below(tmp_path, besides="ray") < 108_192 <= bytes_below(tmp_path)
    assert bytes_below(tmp_path / "nowhere") == 0
