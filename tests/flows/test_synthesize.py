"""`restore-archive synthesize`: what it writes, that a seed decides it, and what it refuses."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.command_line import app
from flows.commands import synthesize as synthesize_module
from tests.media import decoded_frames, encode_frames

Invoke = Callable[..., Any]
COUNT = 48


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `synthesize` in this process, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda signum, handler: None)
    monkeypatch.setattr("logging.disable", lambda level: None)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, ["synthesize", *(str(each) for each in arguments)])


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    """A clip of 60 frames a second, lossless, that pans by two pixels a frame."""
    folder = tmp_path / "sharp"
    folder.mkdir()
    wide = cv2.GaussianBlur(np.random.default_rng(0).random((64, 96 + 2 * COUNT, 3)).astype(np.float32), (0, 0), 1.0)
    pan = [(wide[:, 2 * number : 2 * number + 96] * 255).astype(np.uint8) for number in range(COUNT)]
    encode_frames(folder / "pan.mkv", pan, rate=60, codec="ffv1", pixel_format="bgr0")
    return folder


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path))[..., ::-1])


def test_a_clip_of_high_rate_becomes_pairs_with_labels(invoke: Invoke, sharp: Path, tmp_path: Path) -> None:
    result = invoke(sharp, "out", "--video", "--compression", "none", "--noise", 0)
    assert result.exit_code == 0, result.output
    clip = tmp_path / "out" / "pan"
    labels = pq.read_table(clip / "labels.parquet").to_pylist()
    assert list(labels[0]) == ["frame", "is_blurred", "kind", "strength_pixels", "source_frame"]
    assert 4 <= len(labels) <= 6
    expected = [f"{number:06d}.png" for number in range(len(labels))]
    for side in ("blurred", "sharp"):
        assert sorted(path.name for path in (clip / side).iterdir()) == expected
    source = [frame.to_ndarray(format="rgb24") for frame in decoded_frames(sharp / "pan.mkv")]
    for row, name in zip(labels, expected, strict=True):
        truth = read(clip / "sharp" / name)
        assert np.array_equal(truth, source[row["source_frame"]])
        assert np.array_equal(truth, read(clip / "blurred" / name)) != row["is_blurred"]
        assert row["kind"] == ("averaged" if row["is_blurred"] else "sharp")
    assert 0 < sum(row["is_blurred"] for row in labels) <= 0.7 * len(labels)
    assert len(list(decoded_frames(clip / "blurred.mp4"))) == len(labels)


def test_manifest_and_account_say_what_was_made_from_what(invoke: Invoke, sharp: Path, tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 255, (64, 80, 3), np.uint8)
    (sharp / "photo.png").write_bytes(cv2.imencode(".png", photo)[1].tobytes())
    assert invoke(sharp, "out", "--seed", 7).exit_code == 0
    rows = {row["clip"]: row for row in pq.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()}
    assert {name: row["model"] for name, row in rows.items()} == {"pan": "rebvids", "photo": "shake"}
    assert rows["pan"]["source_sha256"] == hashlib.sha256((sharp / "pan.mkv").read_bytes()).hexdigest()
    assert rows["pan"]["rate"] == pytest.approx(60 / 9.5)
    assert (rows["photo"]["width"], rows["photo"]["height"], rows["photo"]["frames"]) == (60, 48, 24)
    account = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    assert account["seed"] == 7 and account["version"] and account["options"]["interval"] == [7, 12]
    assert account["clips"] == list(rows.values()) and account["failures"] == []


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(
    invoke: Invoke, sharp: Path, tmp_path: Path
) -> None:
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert invoke(sharp, out, "--seed", seed, "--video", "--compression", "h264").exit_code == 0
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert hashes(tmp_path / "a") != hashes(tmp_path / "c")


def test_the_shake_model_gives_a_pair_for_every_frame(invoke: Invoke, sharp: Path, tmp_path: Path) -> None:
    assert invoke(sharp, "out", "--model", "shake", "--defocus-share", 1).exit_code == 0
    labels = pq.read_table(tmp_path / "out" / "pan" / "labels.parquet")
    assert labels.num_rows == COUNT
    assert set(labels["kind"].to_pylist()) == {"sharp", "defocus"}


def test_a_source_that_cannot_be_read_is_named_and_the_others_go_on(
    invoke: Invoke, sharp: Path, tmp_path: Path
) -> None:
    (sharp / "broken.mp4").write_text("no video")
    result = invoke(sharp, "out")
    assert result.exit_code == 3
    assert result.stderr.startswith("restore-archive: broken.mp4: is not a media file")
    assert "1 of 2 sources could not be used" in result.stdout
    assert (tmp_path / "out" / "pan" / "labels.parquet").is_file()
    assert not (tmp_path / "out" / "broken").exists()
    failures = json.loads((tmp_path / "out" / "synthesis.json").read_text())["failures"]
    assert [failure["source"] for failure in failures] == ["broken.mp4"]
    assert pq.read_table(tmp_path / "out" / "manifest.parquet")["clip"].to_pylist() == ["pan"]


def test_an_interval_longer_than_the_clip_is_a_reason_not_an_empty_folder(
    invoke: Invoke, sharp: Path, tmp_path: Path
) -> None:
    result = invoke(sharp, "out", "--model", "rebvids", "--frames", 5)
    assert result.exit_code == 3
    assert "pan.mkv: is too short for a single interval" in result.stderr
    assert not (tmp_path / "out" / "pan").exists()


def test_a_folder_that_is_not_empty_is_refused_without_force(invoke: Invoke, sharp: Path, tmp_path: Path) -> None:
    assert invoke(sharp, "out", "--frames", 24).exit_code == 0
    before = hashes(tmp_path / "out")
    result = invoke(sharp, "out", "--frames", 24, "--seed", 1)
    assert result.exit_code == 2
    assert (
        result.stderr == "restore-archive: out is not empty: name another folder, or replace its clips with --force\n"
    )
    assert hashes(tmp_path / "out") == before
    assert invoke(sharp, "out", "--frames", 24, "--seed", 1, "--force").exit_code == 0
    assert hashes(tmp_path / "out") != before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.parquet", "pan", "synthesis.json"]


def test_an_interrupted_command_leaves_nothing_half_made_and_goes_on_when_run_again(
    invoke: Invoke, sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sharp / "second.mkv").write_bytes((sharp / "pan.mkv").read_bytes())
    make, seen = synthesize_module.make_pairs, []

    def interrupted(*arguments: Any) -> Any:
        for number, pair in enumerate(make(*arguments)):
            if seen and number == 2:
                raise KeyboardInterrupt
            yield pair
        seen.append(True)

    monkeypatch.setattr(synthesize_module, "make_pairs", interrupted)
    assert invoke(sharp, "out").exit_code == 130
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == ["pan"]
    first = (out / "pan" / "labels.parquet").stat().st_mtime_ns
    monkeypatch.setattr(synthesize_module, "make_pairs", make)
    assert invoke(sharp, "out").exit_code == 0
    assert (out / "pan" / "labels.parquet").stat().st_mtime_ns == first
    assert invoke(sharp, "whole").exit_code == 0
    assert hashes(out) == hashes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "out"], "nowhere is no folder"),
        (["sharp", "sharp/out"], "lie in one another"),
        (["sharp", "out", "--model", "average"], "--model average: there is auto, rebvids, shake"),
        (["sharp", "out", "--interval", "12", "7"], "--interval 12 7: must be two rising numbers from 3 to 240"),
        (["sharp", "out", "--blurred-share", "0.5", "1.5"], "--blurred-share 0.5 1.5: must be two rising numbers"),
        (["sharp", "out", "--defocus-share", "-1"], "--defocus-share -1.0: must be a number from 0 to 1"),
        (["sharp", "out", "--compression", "vp9"], "--compression vp9: there is mixed, h264, jpeg, none"),
    ],
)
def test_a_wrong_request_is_one_line_and_writes_nothing(
    invoke: Invoke, sharp: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists() and not (sharp / "out").exists()
