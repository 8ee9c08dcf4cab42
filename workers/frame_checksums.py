"""Checksums of every frame beside a preservation master, of its source and of itself: `<name>.source.framemd5` and
`<name>.framemd5`.

The source's are made while the master is checked, which decodes it anyway; the master's are read back from where it was
published. Other results have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deblur_core.storage import ObjectStore
from deblur_core.video.framemd5 import FrameChecksums, checksum_keys, result_lines, source_lines
from deblur_core.video.picture_check import FrameWatch
from deblur_core.video.pixel_format import ffv1_name
from deblur_core.video.preservation import MASTER_CODEC
from workers.job import Job, VideoTask
from workers.planned_video import PlannedVideo, Stores, open_video


@contextmanager
def watching_source(job: Job, planned: PlannedVideo, path: Path) -> Iterator[FrameWatch | None]:
    """Writes the source's text to `path` from what a check decodes, if `job` makes masters."""
    if job.options.codec != MASTER_CODEC:
        yield None
        return
    info = planned.info
    with path.open("w", encoding="ascii", newline="\n") as file:
        checksums = FrameChecksums(
            ffv1_name(info.pixel_format), planned.index.time_base, info.sample_aspect_ratio, file.write
        )
        yield FrameWatch(source=checksums.see)


def publish_frame_checksums(
    job: Job, stores: Stores, task: VideoTask, planned: PlannedVideo, published: str, of_source: Path
) -> None:
    """Writes both files if `job` makes masters, each at once and whole. of_source: the source's text; what does not
    exist (for a copy) is made here.

    Raises DamagedVideoError if the source, VerificationError if the published video does not decode to its end.
    """
    if job.options.codec != MASTER_CODEC:
        return
    source_key, result_key = checksum_keys(published)
    if of_source.exists():
        stores.destination.put_file(source_key, of_source)
    else:
        with open_video(stores.source, task) as file:
            _put(stores.destination, source_key, source_lines(file, planned.info, planned.index, task.video))
    with stores.destination.open(published) as file:
        _put(stores.destination, result_key, result_lines(file, planned.info, published))


def remove_frame_checksums(job: Job, destination: ObjectStore, former: str, published: str) -> None:
    """Takes away what an earlier run wrote beside `former`, unless the same names are written again."""
    if former == published and job.options.codec == MASTER_CODEC:
        return
    for key in checksum_keys(former):
        if destination.exists(key):
            destination.delete(key)


def _put(destination: ObjectStore, key: str, lines: Iterable[str]) -> None:
    with destination.scratch_folder() as folder:
        path = folder / "framemd5"
        with path.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(lines)
        destination.put_file(key, path)
