"""Whose a name in the destination is: nothing that this program did not publish is ever replaced or deleted.

What it published has a record beside it, or its manifest names it. Between the first put of a video and that of its
record only a mark in the work store says so.
"""

from __future__ import annotations

import json

from deblur_core.errors import BucketNotFoundError, ObjectNotFoundError, OccupiedNameError
from deblur_core.manifests.frames import from_bytes
from deblur_core.manifests.videos import VideoRecord
from deblur_core.provenance.sidecar import sidecar_key
from workers.job import Job, VideoTask
from workers.planned_video import Stores

_MARK = "publishing"


def claim(job: Job, stores: Stores, task: VideoTask, published: str) -> None:
    """Makes ready to put a video under `published`, a key of the destination: empties the record of what lies there,
    for the right to delete it may be missing. Raises OccupiedNameError."""
    refuse_if_occupied(job, stores, task, published)
    record = sidecar_key(published)
    if stores.destination.exists(record):
        stores.destination.put(record, b"")
    else:
        stores.work.put(job.video_prefix(task) + _MARK, b"")


def refuse_if_occupied(job: Job, stores: Stores, task: VideoTask, published: str) -> None:
    """Raises OccupiedNameError where something that this program did not publish lies under `published`."""
    if not stores.destination.exists(published) or stores.destination.exists(sidecar_key(published)):
        return
    if published != published_as(job, stores, task) and not _is_marked(stores, task):
        raise OccupiedNameError(
            f"{published} is in the destination already and was not published by this program, for it has no record "
            "beside it: move it away, or name another destination, and run again"
        )


def published_as(job: Job, stores: Stores, task: VideoTask) -> str | None:
    """The key in the destination under which the manifest says that the video was published."""
    key = job.manifest_key(task)
    try:
        _, metadata = from_bytes(stores.destination.read(key), key)
    except ObjectNotFoundError:
        return None
    return VideoRecord(**json.loads(metadata["record"])).output


def _is_marked(stores: Stores, task: VideoTask) -> bool:
    """Under any version of its source: that may have changed since a run was stopped."""
    try:
        return any(info.key.endswith(f"/{_MARK}") for info in stores.work.list(f"{task.video}/"))
    except BucketNotFoundError:  # a folder that nobody has written into
        return False
