"""What a trial may leave in its destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.archive import BROKEN, Archive


@dataclass(frozen=True)
class Expected:
    """hashes: SHA-256 that each video's published file may have, more than one where its source was changed; failed:
    videos of which no run can make anything; proved: those that may come out otherwise than undisturbed, and are proved
    by `restore-archive verify` instead."""

    hashes: Mapping[str, frozenset[str]]
    failed: frozenset[str] = frozenset({BROKEN})
    proved: frozenset[str] = frozenset()

    @property
    def videos(self) -> set[str]:
        return set(self.hashes) | self.failed

    def allows(self, name: str, sha256: str) -> bool:
        """Whether a file of this content may be visible under this name."""
        return name in self.proved or sha256 in self.hashes.get(name, ())


def expected_of(archive: Archive) -> Expected:
    """The same as of the undisturbed run."""
    return Expected({name: frozenset({value}) for name, value in archive.undisturbed.hashes().items()})
