"""The night's judge notices what grows, its sampler sees what processes hold, and its faults and archive are as told.

The night itself is `make night`.
"""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.night.archive import distinct_clips, write_archive
from tests.night.faults import Faults
from tests.night.judge import Course, courses
from tests.night.plot import draw
from tests.night.sampler import DEBLUR, OTHER_ACTOR, Reading, Sampler

HOUR, EVERY = 3600, 15
MIB = 1 << 20
HOLDS = """
import sys, threading
held, over = [], threading.Event()
for line in sys.stdin:
    held.append(open(sys.argv[0]))
    threading.Thread(target=over.wait, daemon=True).start()
    print("more", flush=True)
"""


def readings_of(
    measure: str, value: Callable[[float, float], float], lives: tuple[tuple[int, int], ...] = ((0, HOUR),)
) -> list[Reading]:
    """Of one role, noisy. value: of seconds and of the age; lives: first and last second of each process."""
    rng = random.Random(measure)
    return [
        Reading(second, "actor", 100 + number, measure, round(value(second, second - first) + noise))
        for number, (first, last) in enumerate(lives)
        for second in range(first, last, EVERY)
        for noise in [rng.gauss(0, 4 * MIB if measure == "rss" else 0.6)]
    ]


def only(readings: list[Reading]) -> Course:
    (course,) = courses(readings)
    return course


def test_what_stays_where_it_is_is_flat() -> None:
    assert only(readings_of("rss", lambda second, age: 400 * MIB)).is_flat
    assert only(readings_of("descriptors", lambda second, age: 40)).is_flat


def test_what_grows_is_found() -> None:
    course = only(readings_of("rss", lambda second, age: (400 + 30 * second / HOUR) * MIB))
    assert not course.is_flat
    assert 20 * MIB < course.growth < 30 * MIB
    assert not only(readings_of("descriptors", lambda second, age: 40 + second / 400)).is_flat
    assert not only(readings_of("threads", lambda second, age: 20 + second / 400)).is_flat


def test_what_grows_and_is_replaced_again_and_again_is_found() -> None:
    lives = tuple((first, first + 900) for first in range(0, HOUR, 900))
    course = only(readings_of("rss", lambda second, age: (300 + 60 * age / HOUR) * MIB, lives))
    assert course.processes == 4 and not course.is_flat


def test_processes_that_differ_without_growing_are_flat() -> None:
    lives = tuple((first, first + 900) for first in range(0, HOUR, 900))
    assert only(readings_of("rss", lambda second, age: (300 + 40 * (second // 900)) * MIB, lives)).is_flat


def test_neither_the_first_ten_minutes_nor_a_process_that_loads_counts() -> None:
    assert only(readings_of("rss", lambda second, age: (300 + min(second, 600)) * MIB)).is_flat
    lives = ((0, 1200), (1200, 2400), (2400, HOUR))
    assert only(readings_of("rss", lambda second, age: (100 + 2 * min(age, 170)) * MIB, lives)).is_flat


def test_the_sampler_sees_what_a_process_and_a_folder_hold(tmp_path: Path) -> None:
    script = tmp_path / "holds.py"
    script.write_text(HOLDS)
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        sampler = Sampler(process.pid, {"a place": place}, every_seconds=60.0)
        for number in range(3):
            process.stdin.write("more\n")
            process.stdin.flush()
            assert process.stdout.readline() == "more\n"
            (place / str(number)).write_bytes(b"x" * 8192)
            sampler.look()
        process.stdin.close()

    def values(subject: str, measure: str) -> list[int]:
        return [each.value for each in sampler.readings if (each.subject, each.measure) == (subject, measure)]

    for measure in ("descriptors", "threads"):
        first = values("driver", measure)[0]
        assert values("driver", measure) == values("all processes", measure) == [first, first + 1, first + 2]
    assert min(values("driver", "rss")) > MIB and len(values("driver", "pss")) == 1
    assert values("all processes", "processes") == [1, 1, 1]
    assert values("a place", "bytes") == [8192, 16384, 24576]
    draw(sampler.readings, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


class _Actors(Sampler):
    """Sleeping processes in place of a run's actors: the first of each role is the oldest."""

    def __init__(self, roles: dict[str, list[subprocess.Popen[bytes]]]) -> None:
        super().__init__(0, {}, 60.0)
        self._roles = roles

    def actors(self) -> dict[int, tuple[str, float]]:
        return {
            process.pid: (role, -float(age))
            for role, processes in self._roles.items()
            for age, process in enumerate(processes)
            if process.poll() is None
        }


def test_the_youngest_that_deblurs_is_killed_and_never_the_last_one(tmp_path: Path) -> None:
    sleepers = {role: [subprocess.Popen(["sleep", "600"]) for _ in range(3)] for role in (DEBLUR, OTHER_ACTOR)}
    try:
        faults = Faults(_Actors(sleepers), every_seconds=600.0)
        for victim in (2, 1):
            faults.strike()
            assert sleepers[DEBLUR][victim].wait(60) < 0
        faults.strike()
        assert len(faults.told) == 2 and sleepers[DEBLUR][0].poll() is None
        faults.told += [(0.0, DEBLUR, "SIGKILL")] * 5
        faults.strike()
        assert sleepers[OTHER_ACTOR][0].wait(60) == -signal.SIGSEGV
        assert [sleepers[OTHER_ACTOR][number].poll() for number in (1, 2)] == [None, None]
    finally:
        for process in [each for some in sleepers.values() for each in some]:
            process.kill()
            process.wait()


def test_the_archive_is_of_many_files_in_no_order_some_of_them_damaged(tmp_path: Path) -> None:
    clips = distinct_clips(3)
    poisoned = write_archive(tmp_path, clips, videos=60, poison_every=10)
    paths = sorted(path for path in tmp_path.rglob("*.mp4"))
    assert len(paths) == len({path.read_bytes() for path in paths}) == 60
    assert len(poisoned) == 6
    lengths = []
    for path in paths:
        if str(path.relative_to(tmp_path)) not in poisoned:
            with av.open(str(path)) as container:
                lengths.append((path.stat().st_size, sum(1 for _ in container.decode(video=0))))
    in_order = [frames for _, frames in sorted(lengths)]
    assert len(set(in_order)) == 3
    assert in_order not in (sorted(in_order), sorted(in_order, reverse=True))


@pytest.mark.parametrize("measure", ["rss", "bytes"])
def test_small_things_may_grow_a_little(measure: str) -> None:
    assert only(readings_of(measure, lambda second, age: 10 * MIB + second / HOUR * 8 * MIB)).is_flat
