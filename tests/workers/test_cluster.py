"""On a cluster: actors are pinned to GPUs, a lost node costs nothing but time, a clip that kills is set aside.

One cluster and one run (cluster_with_losses.py) serve all tests of this file.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.media import frame_times, packet_hashes
from tests.workers.shaken_clip import shaken_clip

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 900
CLIPS = ("calm.mp4", "late.mp4", "poison.mp4", "unlucky.mp4", "stuck.mp4")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The archive, and where it is restored to."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "source").mkdir()
    (folder / "restored").mkdir()
    for seed, name in enumerate(CLIPS):
        shaken_clip(folder / "source" / name, frames=24, shaken=((6, 12),), size=(160, 96), seed=seed)
    return folder / "source", folder / "restored"


@pytest.fixture(scope="module")
def facts(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of the run on the cluster."""
    folder = tmp_path_factory.mktemp("facts")
    (folder / "attempts").mkdir()
    program = str(Path(__file__).with_name("cluster_with_losses.py"))
    command = [sys.executable, program, *map(str, folders), str(folder / "attempts"), str(folder / "facts.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(RUN_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, (folder / "output.txt").read_text()[-3000:]
    return json.loads((folder / "facts.json").read_text())


def test_each_deblur_actor_has_a_gpu_for_itself(facts: dict[str, Any]) -> None:
    gpus = Counter((report["node_id"], report["gpu_ids"]) for report in facts["before"]["deblur"])
    assert len(gpus) == 3
    assert all(gpu in ("0", "1") for _, gpu in gpus)


def test_classifiers_share_the_gpu_that_no_deblur_actor_has(facts: dict[str, Any]) -> None:
    classify, deblur = (
        {(report["node_id"], report["gpu_ids"]) for report in facts["before"][pool]} for pool in ("classify", "deblur")
    )
    assert len(classify) == 1
    assert not classify & deblur


@pytest.mark.parametrize("name", ["calm.mp4", "late.mp4", "unlucky.mp4"])
def test_every_video_is_published_whole_though_a_node_was_lost(
    facts: dict[str, Any], folders: tuple[Path, Path], name: str
) -> None:
    source, restored = (folder / name for folder in folders)
    assert facts["records"][name]["status"] == "restored"
    assert frame_times(restored) == frame_times(source)
    assert packet_hashes(restored, "audio") == packet_hashes(source, "audio")


def test_a_segment_that_kills_its_actor_is_set_aside_after_three_deaths(
    facts: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    record = facts["records"]["poison.mp4"]
    assert facts["attempts"]["poison.mp4"] == 3
    assert (record["status"], record["stage"]) == ("failed", "deblur")
    assert "poison.mp4: frames 0 to 23 killed its worker 3 times" in record["error"]
    assert not (folders[1] / "poison.mp4").exists()


def test_a_segment_that_never_ends_is_set_aside_and_its_processes_are_gone(
    facts: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    record = facts["records"]["stuck.mp4"]
    assert facts["attempts"]["stuck.mp4"] == 3
    assert len(facts["hung"]) == 3  # that they are gone, the program itself has waited for
    assert (record["status"], record["stage"]) == ("failed", "deblur")
    assert "stuck.mp4: frames 0 to 23 did not end in time 3 times" in record["error"]
    assert not (folders[1] / "stuck.mp4").exists()


def test_a_lost_node_does_not_count_against_a_segment(facts: dict[str, Any]) -> None:
    assert facts["attempts"]["unlucky.mp4"] == 4  # two deaths of its own, then the node's, then it is done
    assert facts["records"]["unlucky.mp4"]["status"] == "restored"


def test_the_cluster_answers_only_to_its_own_token(facts: dict[str, Any]) -> None:
    assert facts["health"]["token"] == 0
    assert facts["health"]["another token"] != 0
