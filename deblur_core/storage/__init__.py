"""Where videos and results lie: a local folder or S3, behind one `ObjectStore`.

This package knows objects and bytes, no videos. Importing it loads no S3 library; the first request to S3 does.
"""

from pathlib import Path

from deblur_core.storage.folder import FolderObjectStore
from deblur_core.storage.location import Location, parse_location
from deblur_core.storage.ranged_file import RangedFile
from deblur_core.storage.s3 import S3ObjectStore
from deblur_core.storage.store import ObjectInfo, ObjectStore

__all__ = ["Location", "ObjectInfo", "ObjectStore", "RangedFile", "open_store", "parse_location"]


def open_store(url: str | Path | Location) -> ObjectStore:
    """The store at a folder path or `s3://bucket/prefix`; nothing is contacted or created yet.

    S3 honours AWS_ENDPOINT_URL and boto3's usual chain of credentials. Raises UsageError for a malformed location.
    """
    location = url if isinstance(url, Location) else parse_location(url)
    if location.scheme == "file":
        return FolderObjectStore(Path(location.path))
    return S3ObjectStore(location)
