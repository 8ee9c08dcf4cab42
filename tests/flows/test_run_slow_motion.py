"""Slow motion from the command line: what is published, that it is done once, and who cannot give it."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.flows.archive import Destination
from tests.flows.command import CommandLine, Finished
from tests.media import frame_times, make_clip, packet_hashes, packet_times
from tests.workers.shaken_clip import shaken_clip

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class SlowRun:
    """Two small videos after `run --slow-motion 7`; one has no blurred frame. Tests only look."""

    source: Path
    out: Destination
    finished: Finished

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.finished.stdout)
        return summary


@pytest.fixture(scope="module")
def slow_run(command_line: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> SlowRun:
    folder = tmp_path_factory.mktemp("slow")
    shaken_clip(folder / "in" / "shaken.mp4", frames=24, shaken=((10, 14),), size=(160, 112))
    make_clip(folder / "in" / "sharp.mp4", frames=12, size=(160, 112), seed=3)
    out = Destination(folder / "out")
    finished = command_line.run("run", folder / "in", out.folder, "--slow-motion", 7, "--json")
    return SlowRun(folder / "in", out, finished)


def test_the_sums_count_frames_of_the_source(slow_run: SlowRun) -> None:
    assert slow_run.finished.code == 0, slow_run.finished.stderr
    rows = slow_run.out.manifest("shaken.mp4")
    restored = sum(row["action"] == "restored" for row in rows)
    assert (len(rows), restored >= 4) == (24, True)
    assert slow_run.summary["frames"]["total"] == 36
    assert slow_run.summary["frames"]["restored"] == restored
    assert slow_run.summary["videos"] == {"total": 2, "restored": 1, "unchanged": 1, "skipped": 0, "failed": 0}
    assert slow_run.out.report(slow_run.summary["run_id"])["options"]["restorer"] == "contiguous"


def test_every_restored_frame_is_seven_at_even_times_and_the_sound_as_it_was(slow_run: SlowRun) -> None:
    source, result = slow_run.source / "shaken.mp4", slow_run.out.folder / "shaken.mp4"
    actions = [row["action"] for row in slow_run.out.manifest("shaken.mp4")]
    assert frame_times(result) == [
        at + Fraction(moment, 7 * 24)
        for at, action in zip(frame_times(source), actions, strict=True)
        for moment in range(7 if action == "restored" else 1)
    ]
    assert packet_hashes(result, "audio") == packet_hashes(source, "audio")
    assert packet_times(result, "audio") == packet_times(source, "audio")


def test_a_video_without_a_blurred_frame_is_a_byte_copy(slow_run: SlowRun) -> None:
    assert (slow_run.out.folder / "sharp.mp4").read_bytes() == (slow_run.source / "sharp.mp4").read_bytes()


def test_the_second_run_skips_and_the_setting_may_come_from_the_environment(
    slow_run: SlowRun, command_line: CommandLine
) -> None:
    again = command_line.run(
        "run", slow_run.source, slow_run.out.folder, "--json", environment={"RESTORE_SLOW_MOTION": "7"}
    )
    assert again.code == 0, again.stderr
    assert json.loads(again.stdout)["videos"]["skipped"] == 2


def test_a_restorer_that_does_not_give_it_is_refused(slow_run: SlowRun, command_line: CommandLine) -> None:
    refused = command_line.run(
        "run", slow_run.source, slow_run.out.folder, "--slow-motion", 7, "--restorer", "default", "--dry-run"
    )
    assert (refused.code, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1
    assert "the restorer 'default' does not give so many moments of a frame; contiguous gives 7" in refused.stderr
