"""What killed writers left unfinished goes from wherever a run writes, and nothing else does."""

import os
import time
from pathlib import Path

from deblur_core.storage import open_store
from flows.restore_archive import tidy
from workers.job import Job, RestoreOptions


def test_only_what_is_unfinished_and_old_enough_is_removed(tmp_path: Path) -> None:
    places = tmp_path / "out", tmp_path / "work"
    for place in places:
        open_store(place).put("a.mp4", b"whole")
        (place / "_restore" / "tmp" / "restore-archive-1").mkdir(parents=True)
        for name, age_seconds in ((".partial-old", 60), (".partial-young", 0), ("restore-archive-1/film.mp4", 60)):
            path = place / "_restore" / "tmp" / name
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age_seconds,) * 2)
        os.utime(place / "_restore" / "tmp" / "restore-archive-1", (time.time() - 60,) * 2)
    tidy(Job("run", str(tmp_path / "in"), str(places[0]), str(places[1]), RestoreOptions()), 30.0)
    for place in places:
        files = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*")) if path.is_file()]
        assert files == ["_restore/tmp/.partial-young", "a.mp4"]
