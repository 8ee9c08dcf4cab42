"""Folders for files on their way, which bear the name of the process that made them.

A process that is killed leaves its own behind. Whoever comes next on this machine can tell from the name that it is
gone, and takes the folder away at once; a folder of which that is not sure (of another container, from before a
restart) only when it is older than any call lasts. Knows no store and no stage.
"""

import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from deblur_core.storage.this_process import ProcessMark, this_process

SCRATCH_PREFIX = "restore-archive-"
"""How the names of scratch folders begin."""

LONGEST_SECONDS = 24 * 3600.0
"""No call lasts longer."""

_MADE_BY = re.compile(re.escape(SCRATCH_PREFIX) + r"([0-9a-f]{12})\.(\d+)\.(\d+)-")


def scratch_prefix() -> str:
    """How the names of this process's scratch folders begin."""
    me = this_process()
    return f"{SCRATCH_PREFIX}{me.place}.{me.process_id}.{me.started or 0}-"


def temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """A scratch folder where the system keeps such things (TMPDIR); use it as a context manager."""
    return tempfile.TemporaryDirectory(prefix=scratch_prefix())


def remove_abandoned_scratch(older_than_seconds: float = LONGEST_SECONDS) -> None:
    """Removes what killed processes left where the system keeps such things on this machine. Those in the folders of an
    archive are removed with all else that is unfinished there."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        with suppress(OSError):
            if _is_of_dead_process(folder.name) or folder.stat().st_mtime < time.time() - older_than_seconds:
                shutil.rmtree(folder, ignore_errors=True)


def _is_of_dead_process(name: str) -> bool:
    told = _MADE_BY.match(name)
    here = this_process()
    if told is None or told[1] != here.place or not here.started:
        return False
    return ProcessMark(here.host, int(told[2]), here.boot, here.namespace, told[3]).is_dead()
