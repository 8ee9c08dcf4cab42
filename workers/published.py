"""Whether a video is published already as it was asked for: what its manifest says, and that what it tells of is there.

Asked before a video is planned, and before it is published: the answer of a call that came to its end may have been
lost with its worker, and what it was made of is gone then.
"""

import json
import logging

from deblur_core.errors import StorageError, UnavailableError, VideoError
from deblur_core.manifests.frames import from_bytes
from deblur_core.manifests.videos import VideoRecord
from workers.job import Job, VideoTask
from workers.planned_video import Stores
from workers.sealing import Sealer, is_sealed

log = logging.getLogger(__name__)


def published_before(job: Job, stores: Stores, task: VideoTask) -> VideoRecord | None:
    """The row of a video that was made from the same inputs and has a record beside it, or gets one now.

    Raises UnavailableError: what was published must not be made again because the store did not answer.
    """
    key = job.manifest_key(task)
    try:
        table, metadata = from_bytes(stores.destination.read(key), key)
    except UnavailableError:
        raise
    except StorageError:
        return None
    if metadata.get("fingerprint") != job.fingerprint or metadata.get("source_etag") != task.etag:
        return None
    row = VideoRecord(**json.loads(metadata["record"]))
    if job.salt and row.run_id != job.run_id:
        return None  # that is what is to be done again
    if row.output is None or row.output not in job.output_keys(task):
        return None
    if not stores.destination.exists(row.output):
        return None
    if stores.destination.head(row.output).size_bytes != row.output_bytes:
        return None
    if not is_sealed(stores, row.output):
        try:
            Sealer(job, stores).heal(task, table, row)
        except VideoError as error:
            log.warning("%s is made again: %s", task.video, error)
            return None
    return row
