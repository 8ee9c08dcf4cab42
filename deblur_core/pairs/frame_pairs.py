"""What every set of pairs comes down to: blurred frames with their truth, in sequences. Knows no set.

Nothing is decoded here; listing a set touches names only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class FramePair:
    """A blurred frame and its truth. order: its number within the sequence, from 0, in order of time."""

    sequence: str
    order: int
    blurred: Path
    sharp: Path


@dataclass(frozen=True)
class PairSequence:
    """Pairs in order of time. photographs: they only share a name; none is another's neighbour in time."""

    name: str
    pairs: tuple[FramePair, ...]
    photographs: bool = False


@dataclass(frozen=True)
class PairedSet:
    """set_name: as `--set` knows it; part: which of its published parts this is ('test'), '' where there are none;
    unpaired: pictures left out because they have no partner."""

    set_name: str
    part: str
    sequences: tuple[PairSequence, ...]
    unpaired: int = 0

    @property
    def pair_count(self) -> int:
        """Pairs of all sequences."""
        return sum(len(sequence.pairs) for sequence in self.sequences)


def pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name, runs of digits as numbers; hidden files are none."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.name[0] != "."]
    return sorted(found, key=lambda path: natural_order(path.name))


def folders(folder: Path) -> list[Path]:
    """The folders directly in a folder, by name as `pictures` are; hidden ones are none."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    return sorted(found, key=lambda path: natural_order(path.name))


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """A sort key under which frame 10 comes after frame 9, zeros in front or not."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def pair_by_name(
    name: str, blurred: Iterable[Path], sharp: Iterable[Path], photographs: bool = False
) -> tuple[PairSequence, int]:
    """Pairs pictures of the same file name, in the order of the blurred ones; and how many have no partner."""
    truth = {path.name: path for path in sharp}
    blurred = list(blurred)
    matched = [path for path in blurred if path.name in truth]
    sequence = sequence_of(name, [(path, truth[path.name]) for path in matched], photographs)
    return sequence, len(blurred) + len(truth) - 2 * len(matched)


def sequence_of(name: str, pairs: Iterable[tuple[Path, Path]], photographs: bool = False) -> PairSequence:
    """A sequence of (blurred, sharp) in order of time."""
    numbered = tuple(FramePair(name, order, blurred, sharp) for order, (blurred, sharp) in enumerate(pairs))
    return PairSequence(name, numbered, photographs)
