"""`restore-archive evaluate`: the table, the JSON object, and one line for every wrong request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from deblur_core import load_restorer
from deblur_core.metrics import psnr, ssim
from deblur_core.pairs.evaluation import PairScore
from deblur_core.pairs.frame_pairs import FramePair
from flows.command_line import app
from flows.commands.evaluate import figures
from tests.deblur_core.pairs import tiny_sets
from tests.deblur_core.pairs.tiny_sets import blurred_picture, sharp_picture, write_picture
from tests.flows.command import CommandLine

Invoke = Callable[..., Any]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `evaluate` in this process, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda signum, handler: None)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments: CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def score(before: float, after: float, blurred: bool = True, unaligned: bool = False) -> PairScore:
    pair = FramePair("set", 0, Path("blurred.png"), Path("sharp.png"))
    return PairScore(pair, blurred, before, after, 0.5, 0.75, unaligned)


def test_it_scores_what_the_restorer_makes_of_every_frame(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("default", "--pairs", tiny_sets.plain(tmp_path / "set"), "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    sharp = [sharp_picture(number) for number in range(3)]
    blurred = [blurred_picture(picture) for picture in sharp]
    restored = load_restorer("default", "cpu").restore(np.stack(blurred), np.ones(3, bool))
    before = [psnr(picture, truth) for picture, truth in zip(blurred, sharp, strict=True)]
    after = [psnr(picture, truth) for picture, truth in zip(restored, sharp, strict=True)]
    assert report["psnr_before_db"] == pytest.approx(np.mean(before))
    assert report["psnr_after_db"] == pytest.approx(np.mean(after))
    assert report["gain_db"] == pytest.approx(np.mean(after) - np.mean(before))
    assert report["ssim_after"] == pytest.approx(np.mean([ssim(*both) for both in zip(restored, sharp, strict=True)]))
    assert report["worse"] == np.mean(np.less(after, before))
    assert (report["frames"], report["blurred"], report["unaligned"]) == (3, 3, 0)


def test_the_json_object_says_what_was_scored_and_how(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("default", "--pairs", tiny_sets.gopro(tmp_path / "set"), "--align", "--json")
    report = json.loads(result.stdout)
    assert (report["restorer"], report["set"], report["part"]) == ("default", "gopro", "test")
    assert (report["alignment"], report["selector"], report["unpaired"]) == ("ECC homography", None, 0)
    names = [(row["sequence"], row["frames"]) for row in report["sequences"]]
    assert names == [("GOPR0384_11_00", 2), ("GOPR0385_11_01", 2)]


def test_the_table_has_a_row_a_sequence_and_one_for_all(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("default", "--pairs", tiny_sets.bsd(tmp_path / "set"), "--set", "bsd")
    assert result.exit_code == 0, result.output
    assert "default on bsd, test" in result.output
    rows = [line.split("│")[1:3] for line in result.output.splitlines() if line.count("│") > 5]
    assert [(name.strip(), frames.strip()) for name, frames in rows] == [("000", "2"), ("003", "2"), ("all", "4")]
    assert "PSNR: RGB, 8 bit, no crop." in result.output


def test_alignment_is_named_and_recommended_for_realblur(invoke: Invoke, tmp_path: Path) -> None:
    folder = tiny_sets.realblur(tmp_path / "set")
    aligned = " ".join(invoke("default", "--pairs", folder, "--align").output.split())
    assert "scored after alignment (ECC homography)" in aligned
    assert "no crop" not in aligned
    plain = invoke("default", "--pairs", folder).output
    assert "RealBlur is usually scored after alignment: --align." in plain
    assert "scored after alignment (" not in plain


def test_a_selector_says_which_frames_are_blurred(invoke: Invoke, tmp_path: Path) -> None:
    folder = tiny_sets.plain(tmp_path / "set", frames=5)
    for number in (0, 1, 3, 4):
        write_picture(folder / "blurred" / f"{number:03d}.png", sharp_picture(number))
    result = invoke("default", "--pairs", folder, "--selector", "default", "--json")
    report = json.loads(result.stdout)
    assert report["selector"] == "default"
    assert report["blurred"] < 5
    assert "The selector default called" in invoke("default", "--pairs", folder, "--selector", "default").output


def test_without_a_selector_it_says_that_no_sharp_frame_is_seen(invoke: Invoke, tmp_path: Path) -> None:
    folder = tiny_sets.plain(tmp_path / "set")
    assert "has no sharp frame to look at; --selector" in invoke("default", "--pairs", folder).output
    assert "has no sharp frame" not in invoke("default", "--pairs", folder, "--single").output


def test_pictures_without_a_partner_are_reported(invoke: Invoke, tmp_path: Path) -> None:
    folder = tiny_sets.plain(tmp_path / "set")
    (folder / "sharp" / "002.png").unlink()
    assert "1 pictures have no partner and were left out." in invoke("default", "--pairs", folder).output


def test_figures_are_means_over_frames() -> None:
    found = figures([score(20.0, 23.0), score(30.0, 29.0), score(25.0, 25.0, blurred=False)])
    assert (found.psnr_before_db, found.psnr_after_db) == (25.0, pytest.approx(77.0 / 3))
    assert found.gain_db == pytest.approx(2.0 / 3)
    assert (found.frames, found.blurred, found.worse) == (3, 2, pytest.approx(1 / 3))


def test_frames_that_equal_their_truth_have_no_part_in_the_mean_psnr() -> None:
    found = figures([score(20.0, 23.0), score(float("inf"), 40.0), score(float("inf"), float("inf"))])
    assert (found.psnr_before_db, found.psnr_after_db, found.identical) == (20.0, 23.0, 2)
    assert found.worse == pytest.approx(1 / 3)


def test_pictures_that_all_equal_their_truth_have_no_mean_psnr() -> None:
    found = figures([score(float("inf"), float("inf"), unaligned=True)])
    assert (found.psnr_before_db, found.psnr_after_db, found.gain_db) == (None, None, None)
    assert (found.identical, found.worse, found.unaligned) == (1, 0.0, 1)


def no_pairs(folder: Path) -> Path:
    (folder / "blurred").mkdir(parents=True)
    (folder / "sharp").mkdir()
    return folder


def two_sizes(folder: Path) -> Path:
    write_picture(tiny_sets.plain(folder) / "sharp" / "001.png", sharp_picture(1, (32, 40)))
    return folder


def unreadable(folder: Path) -> Path:
    path = tiny_sets.plain(folder) / "sharp" / "001.png"
    path.write_bytes(path.read_bytes()[:-40])
    return folder


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda folder: folder, (), "does not exist"),
        (no_pairs, (), "no pairs under"),
        (two_sizes, (), "blurred/001.png is 48 × 32"),
        (unreadable, (), "sharp/001.png cannot be read"),
        (tiny_sets.plain, ("--set", "goproo"), "unknown set 'goproo'"),
        (tiny_sets.plain, ("--selector", "none"), "unknown selector 'none'"),
        (tiny_sets.plain, ("--device", "abacus"), "device"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    invoke: Invoke, tmp_path: Path, make: Callable[[Path], Path], options: tuple[str, ...], words: str
) -> None:
    result = invoke("default", "--pairs", make(tmp_path / "set"), *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_an_unknown_restorer_is_refused_before_the_pairs_are_looked_at(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("magic", "--pairs", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "unknown restorer 'magic': there is default" in result.stderr


def test_a_picture_that_is_none_is_one_line_of_the_real_command_too(command_line: CommandLine, tmp_path: Path) -> None:
    folder = tiny_sets.plain(tmp_path / "set")
    (folder / "blurred" / "001.png").write_bytes(b"no picture")
    done = command_line.run("evaluate", "default", "--pairs", folder, "--json")
    assert done.code == 2
    assert done.stderr.startswith("restore-archive: the picture ")
    assert len(done.stderr.splitlines()) == 1
    assert "blurred/001.png cannot be read" in json.loads(done.stdout)["error"]
