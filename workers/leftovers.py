"""What a video needs no more in the work store once it is published: all of it, of earlier versions of its source too.

A source that changes in the middle of a run is another version, under another key; nobody would ever ask again for what
was made of the former one. Videos whose keys merely begin alike keep theirs.
"""

import re
from contextlib import suppress

from deblur_core.errors import BucketNotFoundError
from deblur_core.storage import ObjectStore
from workers.job import VERSION, VideoTask


def empty_work(work: ObjectStore, task: VideoTask) -> None:
    """Deletes what is kept of all versions of a video. Raises StorageError."""
    above, versions = f"{task.video}/", set[str]()
    with suppress(BucketNotFoundError):  # a folder that nobody has written into
        versions |= {info.key.removeprefix(above).partition("/")[0] for info in work.list(above)}
    for version in sorted(versions):
        if re.fullmatch(VERSION, version):
            work.delete_prefix(f"{above}{version}/")
