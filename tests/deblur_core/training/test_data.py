"""The library of sharp material and the stock of samples."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.errors import UsageError
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.training.library import build_library, open_library
from deblur_core.training.stock import Stock, StockPlan


def rendered(folder: Path, library: Path, plan: StockPlan, workers: int = 1) -> np.ndarray:
    with Stock(folder, library, plan, workers) as stock:
        stock.wait_for(plan.samples)
        return np.array(stock.planes)


def test_what_is_judged_on_is_never_learnt_from(library: Path) -> None:
    learnt = {clip.name for clip in open_library(library, held_out=False)}
    judged = {clip.name for clip in open_library(library, held_out=True)}
    assert learnt and judged and not learnt & judged


def test_a_folder_of_numbered_pictures_is_a_clip(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "walk").mkdir(parents=True)
    picture = cv2.imread(str(photographs / "picture0.png"))
    for number in range(14):
        cv2.imwrite(str(tmp_path / "data" / "walk" / f"{number:03d}.png"), np.roll(picture, number, axis=1))
    shutil.copy(photographs / "picture1.png", tmp_path / "data" / "still.png")
    build_library([tmp_path / "data"], tmp_path / "library")
    entries = json.loads((tmp_path / "library" / "index.json").read_text())
    assert {entry["name"]: entry["frames"] for entry in entries} == {"walk": 14, "still": 1}


@pytest.mark.parametrize("kind", ["missing", "empty", "one picture"])
def test_data_that_will_not_do_is_refused_in_one_line(kind: str, photographs: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    if kind != "missing":
        data.mkdir()
    if kind == "one picture":
        shutil.copy(photographs / "picture0.png", data)
    with pytest.raises(UsageError, match=r"no folder|too little to learn from"):
        build_library([data], tmp_path / "library")


def test_what_cannot_be_read_is_named_and_left_out(
    photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    shutil.copytree(photographs, data)
    (data / "broken.mp4").write_bytes(b"no video")
    (data / "broken.png").write_bytes(b"no picture")
    build_library([data], tmp_path / "library")
    assert len(json.loads((tmp_path / "library" / "index.json").read_text())) == 3
    said = sorted(record.getMessage() for record in caplog.records)
    assert [name in line for name, line in zip(("broken.mp4", "broken.png"), said, strict=True)] == [True, True]


def test_data_of_which_nothing_can_be_read_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mkv"):
        (tmp_path / name).write_bytes(b"no video")
    with pytest.raises(UsageError, match=r"too little to learn from .*2 files could not be read, .*one\.mp4 first"):
        build_library([tmp_path], tmp_path / "library")


@pytest.mark.parametrize(
    ("settings", "references"),
    [
        (SampleSettings(patch=32), 2),
        (SampleSettings(patch=32, window=5), 0),
        (SampleSettings(patch=32, window=5, truths=5), 0),
        (SampleSettings(patch=32, truths=7), 0),
    ],
    ids=["references", "window", "window out", "moments"],
)
def test_samples_have_the_planes_that_the_network_asks_for(
    library: Path, tmp_path: Path, settings: SampleSettings, references: int
) -> None:
    plan = StockPlan(3, 1, settings, references)
    planes = rendered(tmp_path, library, plan)
    assert planes.shape == (3, 112, 112, 3 * settings.window + 4 * references + 3 * settings.truths)
    target = planes[..., 3 * (settings.window // 2) :][..., :3].astype(float)
    middle = planes[..., plan.input_channels + 3 * (settings.truths // 2) :][..., :3].astype(float)
    difference = np.abs(target - middle).mean()
    assert 0.1 < difference < 60.0, "the target is a blurred version of the middle truth"


def test_a_sample_depends_on_its_number_alone(library: Path, tmp_path: Path) -> None:
    plan = StockPlan(18, 5, SampleSettings(patch=32, window=5, truths=5), 0)
    one, two = rendered(tmp_path / "one", library, plan, 1), rendered(tmp_path / "two", library, plan, 2)
    assert np.array_equal(one, two)


def test_a_stock_goes_on_where_it_stopped(library: Path, tmp_path: Path) -> None:
    plan = StockPlan(4, 5, SampleSettings(patch=32), 2)
    first = rendered(tmp_path, library, plan)
    ready = np.load(tmp_path / "ready.npy", mmap_mode="r+")
    ready[2:] = 0
    planes = np.load(tmp_path / "planes.npy", mmap_mode="r+")
    planes[2:] = 0
    assert np.array_equal(rendered(tmp_path, library, plan), first)


def test_samples_of_other_settings_are_not_mixed_in(library: Path, tmp_path: Path) -> None:
    rendered(tmp_path, library, StockPlan(2, 5, SampleSettings(patch=32), 0))
    with pytest.raises(UsageError, match="other settings"):
        rendered(tmp_path, library, StockPlan(2, 6, SampleSettings(patch=32), 0))


def test_moments_pass_through_the_frame_that_a_window_shows(library: Path, tmp_path: Path) -> None:
    """The mean of the moments is about the blurred frame: they are what the exposure passed through."""
    planes = rendered(tmp_path, library, StockPlan(8, 2, SampleSettings(patch=48, truths=7, share_sharp=0.0), 0))
    blurred = planes[..., :3].astype(float)
    moments = planes[..., 3:].reshape(*planes.shape[:3], 7, 3).astype(float)
    to_mean = np.abs(moments.mean(axis=3) - blurred).mean()
    to_middle = np.abs(moments[..., 3, :] - blurred).mean()
    assert to_mean < to_middle
