"""Runs that are killed or interrupted, and the run that ends what they began."""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.archive import Destination
from tests.flows.command import CommandLine, Finished
from tests.flows.onlooker import Onlooker
from tests.flows.processes import MARK, RAY_AGENTS, marked, seconds_until_gone
from tests.media import frame_hashes, make_clip
from tests.workers.shaken_clip import shaken_clip

pytestmark = pytest.mark.integration

KILLS = 3
SEED = 2
RECORD = ".restoration.json"
OPTIONS = ("--json", "--segment-frames", 12)
_LABELS = re.compile(r"_restore/work/(.+)/\w{16}/labels-\w{16}/\d+-\d+\.parquet")
_OUTCOME = re.compile(r"_restore/work/(.+)/\w{16}/frames-\w{16}/\d+-\d+\.parquet")
_PART = re.compile(r"_restore/work/(.+)/\w{16}/(?:part|gops-2)-\w{16}/\d+-\d+\.mkv")
_KINDS = {"classify": _LABELS, "deblur": _OUTCOME, "assemble": _PART}


@dataclass(frozen=True)
class Killed:
    """An archive restored twice: undisturbed, and through kills. `before_last`: work that lay finished, by stage."""

    undisturbed: Destination
    out: Destination
    first: Finished
    last: Finished
    onlooker: Onlooker
    before_last: Counter[str]
    published_before_last: list[str]
    seconds_to_die: list[float]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("to-be-killed") / "in"
    folder.mkdir()
    every_second = [(start, start + 6) for start in range(3, 96, 12)]
    shaken_clip(folder / "long.mp4", frames=96, shaken=every_second, size=(320, 240))
    shaken_clip(folder / "short.mp4", frames=60, shaken=every_second[:5], size=(240, 160), seed=4)
    make_clip(folder / "sharp.mp4", frames=36, size=(160, 120))
    return folder


@pytest.fixture(scope="module")
def killed(archive: Path, command_line: CommandLine) -> Killed:
    folder = archive.parent
    undisturbed, out = Destination(folder / "undisturbed"), Destination(folder / "killed")
    first = command_line.run("run", archive, undisturbed.folder, *OPTIONS)
    assert first.code == 0, first.stderr
    chance = random.Random(SEED)
    seconds = []
    with Onlooker(out.folder, folder / "copies") as onlooker:
        for number in range(KILLS):
            mark = f"killed-{os.getpid()}-{number}"
            process = command_line.start("run", archive, out.folder, *OPTIONS, environment={MARK: mark})
            only_the_driver = number == 1
            _kill_amid_the_work(process, onlooker, chance, only_the_driver)
            seconds.append(seconds_until_gone(mark, 30.0, but=RAY_AGENTS if only_the_driver else ()))
        before_last = _finished_work(out)
        published = [video for video in out.published() if (out.meta / "manifests" / video).exists()]
        last = command_line.run("run", archive, out.folder, *OPTIONS)
    return Killed(undisturbed, out, first, last, onlooker, before_last, published, seconds)


def _kill_amid_the_work(
    process: "subprocess.Popen[str]", onlooker: Onlooker, chance: random.Random, only_the_driver: bool
) -> None:
    """SIGKILL, a random number of finished objects after the start and a moment more, to the whole process group.

    Counted in work, not in seconds, so that it falls into the work however slow the machine is. `only_the_driver`: to
    that process alone, as where memory runs out.
    """
    wanted = len(onlooker.work) + chance.randint(1, 12)
    deadline = time.monotonic() + 240
    while len(onlooker.work) < wanted and time.monotonic() < deadline:
        assert process.poll() is None, f"the run ended before it could be killed: {process.communicate()}"
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 0.15))
    (os.kill if only_the_driver else os.killpg)(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def _finished_work(out: Destination) -> Counter[str]:
    """Objects in the work store by the stage that made them, of videos that are not published yet."""
    found: Counter[str] = Counter()
    for name in out.files():
        for stage, pattern in _KINDS.items():
            match = pattern.fullmatch(name)
            if match and not (out.meta / "manifests" / match[1]).exists():
                found[stage] += 1
    return found


def stages(run: Finished, out: Destination) -> dict[str, Any]:
    report: dict[str, Any] = out.report(json.loads(run.stdout)["run_id"])["stages"]
    return report


def test_the_last_run_ends_well(killed: Killed) -> None:
    assert killed.last.code == 0, killed.last.stderr
    assert json.loads(killed.last.stdout)["videos"]["failed"] == 0


def test_the_published_files_are_those_of_an_undisturbed_run(killed: Killed) -> None:
    assert killed.out.published() == killed.undisturbed.published() == ["long.mp4", "sharp.mp4", "short.mp4"]
    assert killed.out.hashes() == killed.undisturbed.hashes()


@pytest.mark.parametrize("video", ["long.mp4", "sharp.mp4", "short.mp4"])
def test_the_manifests_are_those_of_an_undisturbed_run(killed: Killed, video: str) -> None:
    assert killed.out.manifest(video) == killed.undisturbed.manifest(video)


def test_the_records_differ_only_in_run_and_time(killed: Killed) -> None:
    def lasting(out: Destination) -> list[dict[str, Any]]:
        return [{**row, "run_id": "", "finished_at": ""} for row in out.records().values()]

    assert lasting(killed.out) == lasting(killed.undisturbed)


def test_finished_segments_were_not_done_again(killed: Killed, record_property: Any) -> None:
    """Every object that lay finished when the last run began was used by it, and none was ever written twice."""
    last, whole = stages(killed.last, killed.out), stages(killed.first, killed.undisturbed)
    for stage in _KINDS:
        record_property(f"{stage} done, reused, undisturbed", str((last[stage], whole[stage]["calls"])))
    assert sum(killed.before_last.values()) > 0
    assert {stage: last[stage]["reused"] for stage in _KINDS} == {stage: killed.before_last[stage] for stage in _KINDS}
    assert all(last[stage]["calls"] + last[stage]["reused"] <= whole[stage]["calls"] for stage in _KINDS)
    assert sum(last[stage]["calls"] for stage in _KINDS) < sum(whole[stage]["calls"] for stage in _KINDS)
    assert killed.onlooker.rewritten == []


def test_no_unfinished_file_was_ever_visible_under_a_final_name(killed: Killed) -> None:
    assert killed.onlooker.looks > 100
    videos = {name: copies for name, copies in killed.onlooker.seen.items() if not name.endswith(RECORD)}
    assert sorted(videos) == killed.out.published()
    for name, copies in videos.items():
        whole = frame_hashes(killed.undisturbed.folder / name)
        assert all(frame_hashes(copy) == whole for copy in copies), name


def test_no_record_ever_told_of_another_file_than_its_own(killed: Killed) -> None:
    assert killed.out.sealed() == killed.out.published()
    hashes = killed.undisturbed.hashes()
    records = {name: copies for name, copies in killed.onlooker.seen.items() if name.endswith(RECORD)}
    for name, copies in records.items():
        told = {json.loads(text)["result"]["sha256"] for copy in copies if (text := copy.read_text())}
        assert told == {hashes[name.removesuffix(RECORD)]}


def test_no_process_outlives_its_killed_run(killed: Killed) -> None:
    assert len(killed.seconds_to_die) == KILLS
    assert max(killed.seconds_to_die) < 30.0


def test_nothing_temporary_is_left_after_the_last_run(killed: Killed, command_line: CommandLine) -> None:
    assert [name for name in killed.out.files() if name.startswith("_restore/work/")] == []


def _interrupt_amid_work(
    archive: Path, command_line: CommandLine, mark: str
) -> tuple[Destination, subprocess.Popen[str], str, str]:
    """Interrupts a run once some spans are restored; one that ended before, on a busy machine, is begun anew."""
    for attempt in range(3):
        out = Destination(archive.parent / f"interrupted-{attempt}")
        process = command_line.start("run", archive, out.folder, *OPTIONS[1:], environment={MARK: mark})
        while process.poll() is None and not _finished_work(out)["deblur"]:
            time.sleep(0.01)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        if process.returncode != 0:
            return out, process, stdout, stderr
    raise AssertionError("three runs ended before they could be interrupted")


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(archive: Path, command_line: CommandLine) -> None:
    mark = f"interrupted-{os.getpid()}"
    out, process, stdout, stderr = _interrupt_amid_work(archive, command_line, mark)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1] == "restore-archive: interrupted: run the same command again to continue"
    assert "Traceback" not in stderr
    seconds_until_gone(mark, 30.0)
    done = _finished_work(out)
    last = command_line.run("run", archive, out.folder, *OPTIONS)
    assert last.code == 0, last.stderr
    assert stages(last, out)["deblur"]["reused"] == done["deblur"] > 0
    assert marked(mark) == []
