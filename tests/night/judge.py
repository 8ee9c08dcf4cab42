"""Whether anything grew from the tenth minute on. Knows readings, and no program.

The rule: a line is fitted to each measure of each subject, one slope for all processes that had the role and a level
for each (so that one which is replaced neither hides a growth nor looks like one); what it says of the whole time
after minute 10 may be 5 % of the level, or a small number where the level is small. Of a process the first three
minutes in its role do not count: it is loading.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.night.sampler import Reading

_SHARE = 0.05
_MIB = 1 << 20
_ALLOWED = {"rss": 16 * _MIB, "pss": 16 * _MIB, "bytes": 16 * _MIB, "descriptors": 4, "threads": 4, "processes": 1}
_WINDOW = 0.1
"""of the time judged, at its start and its end: what the two levels are taken from"""
_FEWEST = 5


@dataclass(frozen=True)
class Course:
    """How a measure of a subject went. at_first, at_last: medians at the start and the end of the time judged; growth:
    what the fitted line says of all of it; allowed: what it may say."""

    subject: str
    measure: str
    processes: int
    at_first: float
    at_last: float
    growth: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.allowed


def courses(readings: Sequence[Reading], from_seconds: float = 600.0, warm_seconds: float = 180.0) -> list[Course]:
    """One for each measure of each subject that has enough readings after `from_seconds`."""
    series: dict[tuple[str, str], dict[int, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    last = max((reading.seconds for reading in readings), default=0.0)
    since: dict[tuple[str, int], float] = {}
    for each in readings:
        age = each.seconds - since.setdefault((each.subject, each.process), each.seconds)
        if each.seconds >= from_seconds and (not each.process or age >= warm_seconds):
            series[each.subject, each.measure][each.process].append((each.seconds, each.value))
    found = []
    for (subject, measure), by_process in sorted(series.items()):
        lives = [np.array(life, np.float64) for life in by_process.values() if len(life) >= _FEWEST]
        if lives:
            found.append(_course(subject, measure, lives, last - from_seconds))
    return found


def _course(subject: str, measure: str, lives: Sequence[np.ndarray], seconds: float) -> Course:
    """lives: float64 [readings, 2] of each process: seconds, value."""
    centred = np.concatenate([life - life.mean(axis=0) for life in lives])
    spread = float((centred[:, 0] ** 2).sum())
    slope = float((centred[:, 0] * centred[:, 1]).sum()) / spread if spread else 0.0
    together = np.concatenate(lives)
    together = together[np.argsort(together[:, 0], kind="stable")]
    some = max(round(len(together) * _WINDOW), 1)
    first, last = float(np.median(together[:some, 1])), float(np.median(together[-some:, 1]))
    allowed = max(_SHARE * first, _ALLOWED[measure])
    return Course(subject, measure, len(lives), first, last, slope * seconds, allowed)
