"""Checksums of every frame beside a preservation master, of its source and of itself: `<name>.source.framemd5` and
`<name>.framemd5`.

The master's are read back from where it was published. Other results have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.video.frame import VideoFrame

from deblur_core.errors import VerificationError
from deblur_core.storage import ObjectStore
from deblur_core.video.decode import decode_frames
from deblur_core.video.framemd5 import framemd5_lines
from deblur_core.video.pixel_format import ffv1_name
from deblur_core.video.preservation import MASTER_CODEC
from deblur_core.video.source import Source, main_video_stream, open_input, time_base
from workers.job import Job, VideoTask
from workers.planned_video import PlannedVideo, Stores, open_video


def checksum_keys(published: str) -> tuple[str, str]:
    """Of the source's frames and of the published video's, beside the published video."""
    return f"{published}.source.framemd5", f"{published}.framemd5"


def publish_frame_checksums(job: Job, stores: Stores, task: VideoTask, planned: PlannedVideo, published: str) -> None:
    """Writes both files if `job` makes masters, each at once and whole.

    Raises DamagedVideoError if the source, VerificationError if the published video does not decode to its end.
    """
    if job.options.codec != MASTER_CODEC:
        return
    of_source, of_result = checksum_keys(published)
    layout, index = ffv1_name(planned.info.pixel_format), planned.index
    shape = planned.info.sample_aspect_ratio
    with open_video(stores.source, task) as file:
        frames = (frame for _, frame in decode_frames(file, index, 0, index.frame_count, task.video))
        _put(stores.destination, of_source, framemd5_lines(frames, layout, index.time_base, shape))
    with stores.destination.open(published) as file:
        lines = framemd5_lines(_frames(file, published), layout, _tick(file, published), shape)
        _put(stores.destination, of_result, lines)


def remove_frame_checksums(job: Job, destination: ObjectStore, former: str, published: str) -> None:
    """Takes away what an earlier run wrote beside `former`, unless the same names are written again."""
    if former == published and job.options.codec == MASTER_CODEC:
        return
    for key in checksum_keys(former):
        if destination.exists(key):
            destination.delete(key)


def _put(destination: ObjectStore, key: str, lines: Iterable[str]) -> None:
    with TemporaryDirectory(prefix="restore-archive-") as folder:
        path = Path(folder) / "framemd5"
        with path.open("w", encoding="ascii", newline="\n") as file:
            file.writelines(lines)
        destination.put_file(key, path)


def _tick(source: Source, name: str) -> Fraction:
    with open_input(source, name) as container:
        return time_base(main_video_stream(container, name))


def _frames(source: Source, name: str) -> Iterator[VideoFrame]:
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        try:
            yield from container.decode(stream)
        except av.FFmpegError as error:
            raise VerificationError(f"{name}: does not decode to its end ({error.strerror})") from error
