"""Watches a destination while runs write there and are killed, as a reader of the archive would. Knows no run.

It keeps a copy of every file that ever had a final name, taken at the moment it was first seen, and notes every object
of the work store that was written a second time.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LOOK_EVERY_SECONDS = 0.004


@dataclass
class Onlooker:
    """seen: copies of published files by name, in order; rewritten: work objects that were done twice."""

    destination: Path
    copies: Path
    seen: dict[str, list[Path]] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    rewritten: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        self._versions: set[tuple[str, int]] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Onlooker":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_SECONDS):
            self.looks += 1
            for path, name, number in files_below(self.destination, self.destination):
                if name.startswith("_restore/work/"):
                    self._note_work(name, number)
                elif not name.startswith("_restore/"):
                    self._note_published(path, name, number)

    def _note_work(self, name: str, number: int) -> None:
        if "/_restore/tmp/" not in name and self.work.setdefault(name, number) != number:
            self.rewritten.append(name)
            self.work[name] = number

    def _note_published(self, path: Path, name: str, number: int) -> None:
        if (name, number) in self._versions:
            return
        self._versions.add((name, number))
        copies = self.seen.setdefault(name, [])
        copy = self.copies / f"{len(copies)}" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copies.append(copy)


def files_below(folder: Path, root: Path) -> Iterator[tuple[Path, str, int]]:
    """Path, name below root and inode number of each file in `folder`; what goes away meanwhile is left out."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in list(entries):
            with suppress(FileNotFoundError):
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    yield from files_below(path, root)
                else:
                    yield path, path.relative_to(root).as_posix(), entry.stat().st_ino
