"""A fault happens once, at its point, in whichever process comes there; and the hooks find their points."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.archive import environment_of
from tests.chaos.hooks import kind_of
from tests.chaos.tickets import Ticket, events, open_tickets, tell, torn_off, withdraw, write_tickets
from tests.flows.command import REPOSITORY
from workers.job import Job, RestoreOptions, SegmentTask, VideoTask

PUT = """
import sys
from deblur_core.storage import open_store
print(open_store(sys.argv[1]).put("a.mp4.restoration.json", b"{}").size_bytes)
"""


def put_with(told: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What becomes of a process that writes a record, with the faults of `told`."""
    environment = {**os.environ, **environment_of("run", told, folder / "tmp")}
    command = [sys.executable, "-c", PUT, str(folder / "out")]
    return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("point", "left"), [("put", []), ("written", [".partial"]), ("kept", ["a.mp4"])])
def test_a_process_is_killed_where_its_ticket_says_and_the_next_one_goes_on(
    tmp_path: Path, point: str, left: list[str]
) -> None:
    told = tmp_path / "told"
    write_tickets(told, [Ticket("one", "killed", point, "kill", {"object": "record"})])
    assert put_with(told, tmp_path).returncode == -9
    found = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [name[: len(start)] for name, start in zip(found, left, strict=True)] == left
    assert put_with(told, tmp_path).stdout == "2\n"
    assert [(each["what"], each["kind"], each["run"]) for each in events(told)] == [("fault", "killed", "run")]


def test_a_ticket_is_torn_off_once(tmp_path: Path) -> None:
    ticket = Ticket("one", "kind", "begin", "kill", {"stage": "deblur"})
    write_tickets(tmp_path, [ticket, Ticket("two", "kind", "end", "kill")])
    assert open_tickets(tmp_path)[0] == ticket
    assert torn_off(tmp_path, ticket)
    assert not torn_off(tmp_path, ticket)
    assert withdraw(tmp_path) == 1
    assert open_tickets(tmp_path) == []


def test_events_come_back_in_order(tmp_path: Path) -> None:
    for number in range(3):
        tell(tmp_path, "begin", number=number, run="r")
    assert [(event["number"], event["run"], event["pid"]) for event in events(tmp_path)] == [
        (number, "r", os.getpid()) for number in range(3)
    ]


def test_every_object_that_the_program_writes_has_its_kind() -> None:
    job = Job("run", "in", "out", "work", RestoreOptions())
    video = VideoTask("films/a.mp4", "etag", 1)
    span = SegmentTask(video, 0, 0, 12)
    kinds = {
        job.index_key(video): "index",
        job.labels_key(video, 0, 12): "labels",
        job.overlay_key(span): "overlay",
        job.outcome_key(span): "outcome",
        job.part_key(span): "part",
        job.manifest_key(video): "manifest",
        job.output_key(video, rebuilt=True): "video",
        "films/a.mp4.restoration.json": "record",
        "_restore/videos.parquet": "records",
        "_restore/runs/1/summary.json": "summary",
        "_restore/lease/00000001.json": "lease",
    }
    assert {key: kind_of(key) for key in kinds} == kinds
