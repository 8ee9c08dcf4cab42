"""A case: which file is changed, and how. It is all that is needed to make the changed file again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.fuzz.mutations import mutated


@dataclass(frozen=True)
class Case:
    """seed, other: files; other gives bytes to some changes. kind: of the seed, which says who reads it. number: of the
    case in its run; with `run` and the seed's name it decides the changes."""

    number: int
    run: str
    kind: str
    seed: str
    other: str

    @property
    def recipe(self) -> str:
        """What decides the changes."""
        return f"{self.run} {self.number} {Path(self.seed).name}"


def bytes_of(case: Case) -> bytes:
    """The changed file."""
    return mutated(_content(case.seed), _content(case.other), case.recipe)


@lru_cache(maxsize=64)
def _content(path: str) -> bytes:
    return Path(path).read_bytes()
