"""One blurred GOP of eight: the others keep their bytes, and players show every frame of the result where it belongs.

FFmpeg always; Chromium with `make browser`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from deblur_core.manifests.frames import RESTORED
from tests.browser.chromium import Shown, find_chromium, show
from tests.browser.numbered_clip import FRAMES, GOP, GOPS, RATE, SHAKEN_GOP, SIZE, numbered_clip, read_number
from tests.workers.test_stages import Line, job_in

SIDE = 8
"""pixels of the squares whose means are compared"""
MOST_APART = 2.0
"""grey levels between the means of a square in two decoders, each with its own rounding on the way to RGB"""
MIDDLES = [Fraction(2 * number + 1, 2 * RATE) for number in range(FRAMES)]
SHAKEN = range(SHAKEN_GOP * GOP, (SHAKEN_GOP + 1) * GOP)


@dataclass(frozen=True)
class Files:
    """source: the clip; result: what became of it; restored: the numbers of its restored frames."""

    source: Path
    result: Path
    restored: set[int]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("playback")
    (folder / "in").mkdir()
    source = numbered_clip(folder / "in" / "clip.mp4")
    line = Line(job_in(folder, restorer="default-fast"))
    line.restore("clip.mp4")
    restored = {row["frame"] for row in line.manifest("clip.mp4") if row["action"] == RESTORED}
    yield Files(source, folder / "out" / "clip.mp4", restored)


def test_seven_of_eight_gops_keep_their_bytes(files: Files) -> None:
    before, after = packets(files.source), packets(files.result)
    same = [before[gop * GOP : (gop + 1) * GOP] == after[gop * GOP : (gop + 1) * GOP] for gop in range(GOPS)]
    assert len(before) == len(after) == FRAMES
    assert same == [gop != SHAKEN_GOP for gop in range(GOPS)]
    assert files.restored
    assert files.restored <= set(SHAKEN)


def test_ffmpeg_plays_every_frame_in_its_time(files: Files) -> None:
    with av.open(str(files.result)) as container:
        shown = [(frame.pts * frame.time_base, read_number(grey(frame))) for frame in container.decode(video=0)]
    assert shown == [(Fraction(number, RATE), number) for number in range(FRAMES)]


def test_ffmpeg_seeks_to_every_frame(files: Files) -> None:
    found = []
    with av.open(str(files.result)) as container:
        for middle in MIDDLES:
            container.seek(int(middle * av.time_base))
            before = [frame for frame in container.decode(video=0) if frame.pts * frame.time_base <= middle]
            found.append(read_number(grey(before[-1])))
    assert found == list(range(FRAMES))


@pytest.mark.browser
@pytest.mark.parametrize("which", ["source", "result"])
def test_chromium_plays_it_through_and_seeks_to_every_frame(files: Files, which: str, tmp_path: Path) -> None:
    browser = find_chromium()
    if browser is None:
        pytest.skip("no Chromium on the PATH")
    video = files.source if which == "source" else files.result
    seen = show(browser, video, [float(middle) for middle in MIDDLES], SIDE, tmp_path)
    assert seen.error is None
    assert seen.size == SIZE
    assert seen.duration == pytest.approx(FRAMES / RATE, abs=1e-3)
    assert seen.ended_at == seen.duration
    assert seen.corrupted == 0
    assert_played_in_order(seen)
    pictures = [np.reshape(means, (SIZE[1] // SIDE, SIZE[0] // SIDE)) for means in seen.sought]
    assert [read_number(picture) for picture in pictures] == list(range(FRAMES))
    with av.open(str(video)) as container:
        for picture, frame in zip(pictures, container.decode(video=0), strict=True):
            apart = np.abs(picture - square_means(grey(frame)))
            assert apart.max() <= MOST_APART, f"{which}: frame {frame.pts} looks different in Chromium"


def assert_played_in_order(seen: Shown) -> None:
    """A busy machine presents fewer frames than there are; those that it presents are frames, and go forwards."""
    numbers = [round(time * RATE, 3) for time in seen.played]
    assert numbers
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(FRAMES))


def packets(path: Path) -> list[tuple[int | None, int | None, bytes]]:
    """(pts, dts, bytes) in decoding order; GOPs are closed, so each is a run of them."""
    with av.open(str(path)) as container:
        return [(each.pts, each.dts, bytes(each)) for each in container.demux(video=0) if each.size]


def grey(frame: av.VideoFrame) -> np.ndarray:
    """Luma as a screen shows it: float32 [H, W], 0 … 255."""
    rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(-1, frame.planes[0].line_size)
    return ((rows[: frame.height, : frame.width].astype(np.float32) - 16) * 255 / 219).clip(0, 255)


def square_means(luma: np.ndarray) -> np.ndarray:
    height, width = luma.shape
    return luma.reshape(height // SIDE, SIDE, width // SIDE, SIDE).mean(axis=(1, 3))
