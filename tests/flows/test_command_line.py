"""The small commands and the border of the command line: exit codes, one line for a wrong request, a quick --help."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from deblur_core.errors import UsageError
from deblur_core.manifests.videos import FAILED, VideoRecord, records_to_bytes
from deblur_core.provenance.versions import making_version
from flows.commands.inspect_video import stretches
from flows.inventory import take_inventory
from flows.settings import Settings, resolve_settings
from tests.flows.command import REPOSITORY, CommandLine, Invoke
from tests.media import encode_frames, make_clip, moving_texture, truncate
from tests.workers.shaken_clip import SHAKEN, shaken_clip


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_loads_none_of_the_heavy_libraries(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom flows.command_line import app\n"
        f"result = CliRunner().invoke(app, {arguments!r})\nassert result.exit_code == 0, result.output\n"
        "heavy = {'ray', 'prefect', 'torch', 'cv2', 'av', 'boto3'} & set(sys.modules)\n"
        "sys.exit(f'loaded {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_driver_that_takes_stock_loads_neither_torch_nor_ray() -> None:
    script = (
        "import sys\nimport flows.commands.run\n"
        "heavy = {'ray', 'prefect', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'loaded {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command(invoke: Invoke) -> None:
    output = invoke("--help").output
    commands = ("run", "inspect", "compare", "evaluate", "synthesize", "train", "adapt", "models", "doctor")
    assert all(f" {name} " in output for name in commands)


def test_an_unknown_option_is_wrong_usage(invoke: Invoke) -> None:
    assert invoke("run", "in", "out", "--treshold", "1").exit_code == 2


def test_inspect_names_the_stretches_and_leaves_picture_and_manifest(invoke: Invoke, tmp_path: Path) -> None:
    clip = shaken_clip(tmp_path / "clip.mp4")
    result = invoke("inspect", clip)
    assert result.exit_code == 0, result.output
    rows = pq.read_table(tmp_path / "clip.mp4.inspection" / "frames.parquet").to_pylist()
    blurred = {row["frame"] for row in rows if row["is_blurred"]}
    shaken = {number for first, stop in SHAKEN for number in range(first, stop)}
    assert shaken <= blurred
    assert len(blurred - shaken) <= 6
    assert f"{len(blurred)} of 48 frames are blurred ({100 * len(blurred) / 48:.1f} %)" in result.output
    assert {row["action"] for row in rows} == {"kept"}
    assert (tmp_path / "clip.mp4.inspection" / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_stretches_are_runs_of_one_label() -> None:
    found = stretches(np.array([False, False, True, True, False]), np.array([0.0, 0.2, 0.8, 1.0, 0.1]))
    assert [(each.start, each.stop, each.blurred) for each in found] == [(0, 2, False), (2, 4, True), (4, 5, False)]
    assert [round(each.mean_probability, 3) for each in found] == [0.1, 0.9, 0.1]


def test_inspect_with_threshold_zero_calls_every_frame_blurred(invoke: Invoke, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=6, size=(64, 48))
    result = invoke("inspect", clip, "--threshold", 0, "--out", tmp_path / "here")
    assert "6 of 6 frames are blurred" in result.output
    assert pq.read_table(tmp_path / "here" / "frames.parquet")["is_blurred"].to_pylist() == [True] * 6


def test_inspect_of_a_truncated_video_ends_in_one_line(invoke: Invoke, tmp_path: Path) -> None:
    cut = truncate(make_clip(tmp_path / "clip.mp4", frames=24), tmp_path / "cut.mp4", 0.5)
    result = invoke("inspect", cut)
    assert result.exit_code == 1
    assert result.stderr.startswith("restore-archive: cut.mp4")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "cut.mp4.inspection").exists()


def test_compare_counts_what_differs_and_shows_the_worst_frame(invoke: Invoke, tmp_path: Path) -> None:
    pictures = list(moving_texture(6, (64, 48)))
    before = encode_frames(tmp_path / "a.mkv", pictures, codec="ffv1", pixel_format="bgr0")
    pictures[4] = np.clip(pictures[4].astype(np.int16) + 10, 0, 255).astype(np.uint8)
    after = encode_frames(tmp_path / "b.mkv", pictures, codec="ffv1", pixel_format="bgr0")
    result = invoke("compare", before, after)
    assert result.exit_code == 0, result.output
    assert "6 frames, 5 identical, mean PSNR of the others 28.1" in result.output
    assert "frame 4, the most different one" in result.output
    assert (tmp_path / "b.comparison.png").read_bytes().startswith(b"\x89PNG")


def test_compare_of_a_video_with_itself_says_identical(invoke: Invoke, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=5, size=(64, 48))
    result = invoke("compare", clip, clip, "--out", tmp_path / "same.png")
    assert "5 frames, 5 identical, mean PSNR of the others identical" in result.output


@pytest.mark.parametrize(
    ("other", "words"),
    [({"frames": 7}, "are not the same video"), ({"size": (80, 48)}, "is (48, 64)"), (None, "is no file")],
)
def test_compare_of_different_videos_is_wrong_usage(
    invoke: Invoke, tmp_path: Path, other: dict[str, Any] | None, words: str
) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=5, size=(64, 48))
    if other is not None:
        make_clip(tmp_path / "b.mp4", **{"frames": 5, "size": (64, 48), **other})
    result = invoke("compare", clip, tmp_path / "b.mp4")
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "command", "said"),
    [
        (("run", "in", "out"), "flows.commands.run.run", "run the same command again to continue"),
        (("synthesize", "in", "out"), "flows.commands.synthesize.synthesize", "run the same command again to continue"),
        (("train", "dvd"), "flows.commands.train.train", "with --resume to continue"),
        (("evaluate", "dvd", "--pairs", "in"), "flows.commands.evaluate.evaluate", "it starts from the beginning"),
        (("adapt", "dvd", "--videos", "in"), "flows.commands.adapt.adapt", "it starts from the beginning"),
    ],
)
def test_an_interrupted_command_says_whether_it_goes_on_or_starts_over(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], command: str, said: str
) -> None:
    def interrupted(*given: Any, **named: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, interrupted)
    result = invoke(*arguments)
    assert result.exit_code == 130
    assert said in result.output


def test_models_lists_what_can_be_asked_for(invoke: Invoke) -> None:
    result = invoke("models")
    assert result.exit_code == 0
    assert result.output.count("default") >= 2
    assert "st-variant-rnn" in result.output
    assert all(kind in result.output for kind in ("restorer", "selector", "GMAC"))


def test_models_gives_each_restorer_its_own_figures_of_the_one_table(invoke: Invoke) -> None:
    """Also those that share a file of weights."""
    from deblur_core.models.registry import RESTORERS
    from deblur_core.models.weights_file import released_scores

    page = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(.+?)` \|.*?\| (24\.15 → [\d.]+) \| \*\*(.+?)\*\* \|", page, re.MULTILINE)
    figures = {name: f"{gain} dB PSNR on blurred frames ({change})" for name, change, gain in table}
    scores = {each.name: released_scores(each.weights, each.name) for each in RESTORERS.values()}
    assert figures.keys() == scores.keys()
    assert [name for name in figures if not scores[name].startswith(figures[name])] == []
    said = " ".join(invoke("models").output.split())
    assert said.count("(24.15 → 29.23)") == said.count("(24.15 → 29.32)") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "in", "out", "--json", "--bogus"), "No such option: --bogus"),
        (("run", "in", "out", "--stride", "x", "--json"), "Invalid value for '--stride'"),
        (("evaluate", "--json"), "Missing argument"),
    ],
)
def test_with_json_what_the_options_parser_refuses_is_one_object_too(
    invoke: Invoke, arguments: tuple[str, ...], said: str
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert said in json.loads(result.stdout)["error"]
    assert result.stderr
    assert invoke(*(each for each in arguments if each != "--json")).stdout == ""


@pytest.mark.parametrize(("option", "reencode"), [((), True), (("--no-reencode",), False), (("--reencode",), True)])
def test_a_switch_of_the_file_can_be_put_either_way(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], reencode: bool
) -> None:
    (tmp_path / "restore.toml").write_text("reencode = true\n")
    taken: list[Settings] = []

    def take(settings: Settings, *given: Any, **named: Any) -> None:
        taken.append(settings)
        raise UsageError("enough")

    monkeypatch.setattr("flows.commands.run.take_inventory", take)
    invoke("run", "in", "out", *option)
    assert [settings.reencode for settings in taken] == [reencode]


def test_a_dry_run_lists_what_would_be_done_and_writes_nothing(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "clip.mp4", frames=5, size=(64, 48))
    (tmp_path / "in" / "text.mp4").write_text("no video")
    (tmp_path / "in" / "notes.txt").write_text("x")
    result = invoke("run", "in", "out", "--dry-run")
    assert result.exit_code == 0, result.output
    said = "2 videos would be done, 0 are done already, 0 failed for good and are left alone, as are 1 other files"
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_dry_run_as_json_is_one_object(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "clip.mp4", frames=24, size=(64, 48))
    plan = json.loads(invoke("run", "in", "out", "--dry-run", "--json").stdout)
    assert plan["skipped"] == 0
    assert [(each["video"], each["frames"]) for each in plan["pending"]] == [("clip.mp4", 24)]


def test_a_dry_run_as_json_names_what_is_left_alone(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("bad.mp4", "notes.txt"):
        (tmp_path / "in" / name).write_text("x")
    inventory = take_inventory(resolve_settings(source="in", destination="out"), "run", writes=False)
    bad = VideoRecord(
        "bad.mp4", inventory.pending[0].etag, 1, inventory.job.fingerprint, FAILED, "plan", "is no video", None, None,
        0, 0, 0, 0, "earlier", 0, failed_runs=1, final_after_runs=1, failed_by=making_version(),
    )  # fmt: skip
    (tmp_path / "out" / "_restore").mkdir(parents=True)
    (tmp_path / "out" / "_restore" / "videos.parquet").write_bytes(records_to_bytes([bad]))
    plan = json.loads(invoke("run", "in", "out", "--dry-run", "--json").stdout)
    assert plan["given_up"] == [{"video": "bad.mp4", "stage": "plan", "error": "is no video"}]
    assert (plan["pending"], plan["other_files"]) == ([], 1)


def test_a_wrong_request_is_one_line_and_exit_code_2(command_line: CommandLine, tmp_path: Path) -> None:
    done = command_line.run("run", tmp_path / "nowhere", tmp_path / "out")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == f"restore-archive: source {tmp_path}/nowhere does not exist: check the path\n"
    assert not (tmp_path / "out").exists()
