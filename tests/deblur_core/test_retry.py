"""Waiting between attempts: longer each time, never beyond its bound, and only for what may pass."""

import errno
import random
from collections.abc import Callable

import pytest

from deblur_core.errors import (
    AccessDeniedError,
    DamagedVideoError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageFullError,
    UnavailableError,
    may_pass,
)
from deblur_core.retry import Backoff, attempted

BACKOFF = Backoff(attempts=6, first_seconds=1.0, most_seconds=5.0)


def test_the_bound_of_the_waits_doubles_up_to_the_longest() -> None:
    longest = [BACKOFF.wait_seconds(failed, lambda: 1.0) for failed in range(1, 7)]
    assert longest == [1.0, 2.0, 4.0, 5.0, 5.0, None]


def test_waits_are_drawn_evenly_from_nothing_to_their_bound() -> None:
    draw = random.Random(1).random
    waits = [BACKOFF.wait_seconds(3, draw) or 0.0 for _ in range(2000)]
    assert 0.0 <= min(waits) < 0.05
    assert 3.95 < max(waits) <= 4.0
    assert sum(waits) / len(waits) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("error", [UnavailableError("503"), StorageFullError("no room")])
def test_what_may_pass_is_tried_until_it_has_passed(error: Exception) -> None:
    slept: list[float] = []
    assert attempted(failing(error, times=5), BACKOFF, slept.append) == "done"
    assert len(slept) == 5


def test_what_does_not_pass_ends_in_its_own_error() -> None:
    slept: list[float] = []
    with pytest.raises(UnavailableError, match="503"):
        attempted(failing(UnavailableError("503"), times=6), BACKOFF, slept.append)
    assert len(slept) == 5


@pytest.mark.parametrize(
    "error",
    [
        AccessDeniedError("403"),
        ObjectNotFoundError("gone"),
        ObjectChangedError("another version"),
        DamagedVideoError("cut"),
        OSError(errno.EIO, "raw"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(error: Exception) -> None:
    assert not may_pass(error)
    slept: list[float] = []
    with pytest.raises(type(error)):
        attempted(failing(error, times=1), BACKOFF, slept.append)
    assert slept == []


def failing(error: Exception, times: int) -> Callable[[], str]:
    left = [error] * times

    def act() -> str:
        if left:
            raise left.pop()
        return "done"

    return act
