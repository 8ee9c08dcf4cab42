"""`prefect.yaml` on a real server with a real worker: deployed, run, cancelled, run again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.prefect_on_loopback import PrefectOnLoopback, wait_for
from tests.media import frame_times
from tests.workers.shaken_clip import shaken_clip

pytestmark = pytest.mark.integration

ENDED = {"COMPLETED", "CANCELLED", "FAILED", "CRASHED"}
NIGHTLY, REPROCESS = "restore-archive/nightly", "restore-archive/reprocess"


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectOnLoopback]:
    """A server that has everything deployed, and a worker."""
    with PrefectOnLoopback(tmp_path_factory.mktemp("prefect")) as prefect:
        prefect.command("work-pool", "create", "restore-archive", "--type", "process")
        prefect.command("deploy", "--all")
        prefect.start_worker("restore-archive")
        yield prefect


def archive(folder: Path, frames: int) -> tuple[Path, Path]:
    """A source with one partly blurred clip, and an empty place for the result."""
    source, destination = folder / "source", folder / "restored"
    source.mkdir()
    destination.mkdir()
    shaken_clip(source / "clip.mp4", frames=frames, shaken=((6, 12),), size=(192, 128))
    return source, destination


def test_nightly_has_a_schedule_and_gives_way_to_a_run_that_is_still_busy(prefect: PrefectOnLoopback) -> None:
    nightly = prefect.ask(f"deployments/name/{NIGHTLY}")
    (schedule,) = nightly["schedules"]
    assert schedule["active"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 1 * * *", "UTC")
    assert nightly["global_concurrency_limit"]["limit"] == 1
    assert nightly["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_reprocess_waits_to_be_asked(prefect: PrefectOnLoopback) -> None:
    assert prefect.ask(f"deployments/name/{REPROCESS}")["schedules"] == []


def test_a_run_of_the_deployment_restores_the_archive_and_leaves_artifacts(
    prefect: PrefectOnLoopback, tmp_path: Path
) -> None:
    source, destination = archive(tmp_path, frames=24)
    given = (f"source={source}", f"destination={destination}", "threshold=0")
    asked = [argument for parameter in given for argument in ("--param", parameter)]
    prefect.command("deployment", "run", NIGHTLY, *asked, "--watch")
    assert frame_times(destination / "clip.mp4") == frame_times(source / "clip.mp4")
    assert (destination / "clip.mp4").read_bytes() != (source / "clip.mp4").read_bytes()
    artifacts = {artifact["type"]: artifact for artifact in prefect.ask("artifacts/filter", {})}
    assert float(artifacts["progress"]["data"]) == 100.0
    summary = artifacts["markdown"]["data"]
    assert "| blurred | 24 |" in summary
    restored, rejected = (int(summary.split(f"| {word} | ")[-1].split(" |")[0]) for word in ("restored", "rejected"))
    assert restored + rejected == 24 and restored > 0


@pytest.fixture(scope="module")
def long_archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source that takes a while, and an empty place for the result."""
    return archive(tmp_path_factory.mktemp("long"), frames=480)


def test_a_cancelled_run_ends_with_all_it_started_within_thirty_seconds(
    prefect: PrefectOnLoopback, long_archive: tuple[Path, Path]
) -> None:
    flow_run = prefect.run(NIGHTLY, **parameters(long_archive))
    wait_for(lambda: list(long_archive[1].rglob("frames-*")), 180, "the first frames are restored")
    assert any("raylet" in line for line in prefect.offspring().values())

    while_busy = prefect.run(NIGHTLY, **parameters(long_archive))
    wait_for(lambda: prefect.state(while_busy) in ENDED, 30, "a second run is turned away")
    assert prefect.state(while_busy) == "CANCELLED"

    assert prefect.state(flow_run) == "RUNNING"
    prefect.command("flow-run", "cancel", flow_run)
    wait_for(lambda: not prefect.offspring(), 30, "nothing is left of the run")
    wait_for(lambda: prefect.state(flow_run) in ENDED, 60, "the flow run has an end")
    assert prefect.state(flow_run) == "CANCELLED"
    assert not (long_archive[1] / "clip.mp4").exists()


def test_the_next_run_finishes_what_a_cancelled_one_began(
    prefect: PrefectOnLoopback, long_archive: tuple[Path, Path]
) -> None:
    source, destination = long_archive
    if not list(destination.rglob("frames-*")):
        pytest.skip("no run was cancelled before")
    flow_run = prefect.run(REPROCESS, **parameters(long_archive))
    wait_for(lambda: prefect.state(flow_run) in ENDED, 240, "the next run ends")
    assert prefect.state(flow_run) == "COMPLETED", prefect.log("worker")
    assert frame_times(destination / "clip.mp4") == frame_times(source / "clip.mp4")
    (summary,) = destination.glob("_restore/runs/*/summary.json")
    assert json.loads(summary.read_text())["stages"]["deblur"]["reused"] >= 1


def parameters(places: tuple[Path, Path]) -> dict[str, Any]:
    return {"source": str(places[0]), "destination": str(places[1]), "threshold": 0}
