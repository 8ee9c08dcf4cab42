"""What a video needs no more in the work store once it is published: all of it, of earlier versions of its source too.

A source that changes in the middle of a run is another version, under another key; nobody would ever ask again for what
was made of the former one. Videos whose keys merely begin alike keep theirs.
"""

import re
from collections.abc import Collection
from contextlib import suppress

from deblur_core.errors import BucketNotFoundError
from deblur_core.storage import ObjectStore
from workers.job import VERSION


def empty_work(work: ObjectStore, video: str) -> None:
    """Deletes what is kept of all versions of the video of that key. Raises StorageError."""
    above, versions = f"{video}/", set[str]()
    with suppress(BucketNotFoundError):  # a folder that nobody has written into
        versions |= {info.key.removeprefix(above).partition("/")[0] for info in work.list(above)}
    for version in sorted(versions):
        if re.fullmatch(VERSION, version):
            work.delete_prefix(f"{above}{version}/")


def remove_abandoned_work(work: ObjectStore, videos: Collection[str]) -> None:
    """Deletes what is kept of those of `videos`, keys of which no run is at work on any: a run under `--force` that was
    killed leaves it, and as they are published still, no other run would ask for it. Raises StorageError.
    """
    with suppress(BucketNotFoundError):
        kept = {info.key[: cut.start()] for info in work.list() for cut in re.finditer(f"/{VERSION}/", info.key)}
        for video in sorted(kept & set(videos)):
            empty_work(work, video)
