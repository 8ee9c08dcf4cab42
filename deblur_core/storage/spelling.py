"""File systems that take `A.mp4` and `a.mp4` for one name (macOS's, Windows's, some shares): there the second of two
objects would replace the first in silence. It knows folders and names, no store and no object.
"""

import unicodedata
from pathlib import Path


def ignores_case(existing: Path) -> bool:
    """Whether the file system finds a file under its name with upper and lower case swapped, too.

    existing: a file whose name holds letters, and of which nobody has made such a twin."""
    return existing.with_name(existing.name.swapcase()).exists()


def kept_as(path: Path, root: Path) -> Path | None:
    """The path under which something is kept that is found at `path`, where that differs by more than how Unicode is
    composed; None where nothing is there, or `path` is its name. root: a folder above, of any name."""
    above = [place for place in path.parents if place.is_relative_to(root) and place != root]
    for place in [*reversed(above), path]:
        if not place.exists():
            return None
        names = _names_in(place.parent)
        if _composed(place.name) not in {_composed(name) for name in names}:
            same = (name for name in names if _folded(name) == _folded(place.name))
            return next((place.with_name(name) for name in same), None)
    return None


def _names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name.casefold())
