"""The border of an actor's call: a full disk and a failed read are told as what they are, all else as it was."""

from pathlib import Path
from typing import Any

import pytest

from deblur_core.errors import DamagedVideoError, StorageFullError
from workers.actors import run_call
from workers.results import Assembled


class Doing:
    """A stage that does what it is made of."""

    def __init__(self, act: Any) -> None:
        self._act = act

    def run(self, task: Any) -> tuple[Assembled, bool]:
        self._act()
        return Assembled(7), True


def fill_the_disk() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")


def test_a_call_returns_its_result_and_what_it_cost() -> None:
    result, cost = run_call(Doing(lambda: None), "task")
    assert (result, cost.reused) == (Assembled(7), True)
    assert cost.seconds >= 0


def test_a_full_disk_is_told_with_its_place() -> None:
    with pytest.raises(StorageFullError, match=r"no room left in .* free space there or set TMPDIR"):
        run_call(Doing(fill_the_disk), "task")


def test_a_full_disk_that_looks_like_a_damaged_video_is_told_as_a_full_disk() -> None:
    def decode() -> None:
        try:
            fill_the_disk()
        except OSError as error:
            raise DamagedVideoError("clip.mp4: cannot be put together") from error

    with pytest.raises(StorageFullError, match="no room left"):
        run_call(Doing(decode), "task")


def test_a_damaged_video_is_a_damaged_video() -> None:
    def decode() -> None:
        raise DamagedVideoError("clip.mp4: is cut short")

    with pytest.raises(DamagedVideoError, match="is cut short"):
        run_call(Doing(decode), "task")
