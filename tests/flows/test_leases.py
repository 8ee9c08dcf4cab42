"""Which places a run keeps to itself while it works."""

from pathlib import Path

import pytest

from deblur_core.errors import BusyDestinationError
from deblur_core.storage import open_store
from deblur_core.storage.lease import LEASE_PREFIX, refuse_if_held
from flows.inventory import leased_places
from flows.restore_archive import held_leases
from workers.job import Job, RestoreOptions


def job_with(destination: str, work: str) -> Job:
    return Job("20260101T000000-abcdef", "/in", destination, work, RestoreOptions())


def test_work_below_the_destination_is_the_destinations_and_work_elsewhere_is_held_apart() -> None:
    assert leased_places(job_with("/out", "/out/_restore/work")) == ("/out",)
    assert leased_places(job_with("/out", "/work")) == ("/out", "/work")
    assert leased_places(job_with("/out", "/output/work")) == ("/out", "/output/work")
    assert leased_places(job_with("s3://bucket/out", "s3://bucket/out/_restore/work")) == ("s3://bucket/out",)
    assert leased_places(job_with("s3://bucket/out", "/work")) == ("s3://bucket/out", "/work")


def test_a_run_keeps_others_out_of_both_places_and_gives_both_back(tmp_path: Path) -> None:
    places = [tmp_path / "out", tmp_path / "work"]
    for place in places:
        place.mkdir()
    with held_leases(job_with(*map(str, places))) as leases:
        assert len(leases) == 2
        for place in places:
            with pytest.raises(BusyDestinationError, match="run 20260101T000000-abcdef"):
                refuse_if_held(open_store(str(place)))
    assert [list(open_store(str(place)).list(LEASE_PREFIX)) for place in places] == [[], []]
