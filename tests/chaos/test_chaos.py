"""The quick slice of `make chaos`: actors and a driver killed at the worst moments, judged, and brought to an end."""

import random
from pathlib import Path

import pytest

from tests.chaos.account import SAME_RUN
from tests.chaos.scenarios import Scenario, Suite
from tests.chaos.trial import Trial

pytestmark = pytest.mark.integration


def a_few(trial: Trial) -> None:
    """In one run and one video, one after the other: two actors, then the driver with all it started."""
    video = {"video": "one.mp4"}
    trial.ticket("killed between restored frames and what tells of them", "kept", "kill", object="overlay", **video)
    trial.ticket("media actor killed as it publishes", "begin", "kill", stage="publish", **video)
    trial.ticket("all killed in the middle of joining", "join", "kill_group", trial.driver_file, nth=5, **video)
    trial.run()


def test_kills_leave_nothing_half_and_nothing_lost(tmp_path: Path) -> None:
    with Suite(tmp_path, small=True) as suite:
        result = suite.play("a few", Scenario(a_few, 1), random.Random(1))
    assert result.wrong == ()
    assert result.unused == 0
    found = {injection.kind: injection for injection in result.injections}
    assert len(found) == 3
    assert found["killed between restored frames and what tells of them"].outcome == SAME_RUN
    assert all(injection.redone <= injection.in_flight for injection in found.values())
