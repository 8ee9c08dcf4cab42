"""Where an archive lies, as a person types it: a folder, or `s3://bucket/prefix`.

This file reads the text and compares two places. It opens neither: whether a bucket or a folder exists is the stores'
business.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deblur_core.errors import StorageError, UsageError
from deblur_core.redaction import redacted
from deblur_core.storage.keys import check_prefix, has_control_character
from deblur_core.storage.links import resolved

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True)
class Location:
    """A folder (or file) on this machine, or a place in a bucket.

    scheme: "file" or "s3".
    bucket: the bucket's name; empty for "file".
    path: for "file" an absolute path, symbolic links left as typed; for "s3" the prefix without '/' at either end,
        empty for the whole bucket.
    """

    scheme: Literal["file", "s3"]
    bucket: str
    path: str

    @property
    def url(self) -> str:
        """What a person would type to get here."""
        if self.scheme == "file":
            return self.path
        return f"s3://{self.bucket}/{self.path}" if self.path else f"s3://{self.bucket}"

    def is_inside(self, other: "Location") -> bool:
        """Whether this place is `other` or lies anywhere below it.

        Folders are compared as the filesystem sees them, so symbolic links and bind mounts do not hide anything; this
        place need not exist yet. The same bucket name is taken to mean the same bucket. Raises UsageError for folders
        whose symbolic links lead in a circle.
        """
        if self.scheme != other.scheme or self.bucket != other.bucket:
            return False
        if self.scheme == "s3":
            return not other.path or f"{self.path}/".startswith(f"{other.path}/")
        mine, theirs = _resolved(self.path), _resolved(other.path)
        return any(_is_same_place(place, theirs) for place in (mine, *mine.parents))

    def split_last(self) -> tuple["Location", str]:
        """The place above and the last name, which is then a key there: how a single video becomes a store and a key.

        Raises UsageError for the root of a filesystem and for a whole bucket.
        """
        above, _, name = self.path.rpartition("/")
        if not name:
            raise UsageError(f"{self.url} names no single object; name one below it")
        if self.scheme == "file":
            above = above or "/"
        return Location(self.scheme, self.bucket, above), name


def parse_location(text: str | Path) -> Location:
    """Read a folder path or `s3://bucket/prefix`.

    A relative path is taken from the working directory of now, so that the location means the same in every process;
    a leading `~` is the home folder. Raises UsageError, with what to type instead, for anything else.
    """
    text = str(text)
    if not text.strip():
        raise UsageError("the location is empty; give a folder or s3://bucket/prefix")
    if has_control_character(text):
        raise UsageError(f"the location {text!r} holds a control character; give a folder or s3://bucket/prefix")
    scheme = _SCHEME.match(text)
    if scheme is None:
        if text.lower().startswith("s3:"):
            raise UsageError(f"{text} is no location; did you mean s3://{text[3:].lstrip('/')}?")
        return Location("file", "", _absolute(text))
    if scheme[1].lower() != "s3":
        raise UsageError(
            f"{redacted(text)} has the scheme {scheme[1]}://, which is not supported; give a folder or s3://…"
        )
    return _parse_s3(text, text[scheme.end() :])


def _absolute(text: str) -> str:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(f"the folder {text} names a home that does not exist; give its full path") from error
    # After a symbolic link `..` is not the folder that the text shows: only the filesystem can take it away.
    return str(_resolved(path) if ".." in path.parts else path)


def _resolved(path: str | Path) -> Path:
    try:
        return resolved(Path(path))
    except StorageError as error:
        raise UsageError(str(error)) from error


def _parse_s3(text: str, rest: str) -> Location:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise UsageError(f"{text} names no bucket; write s3://bucket/prefix")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{redacted(text)} has no valid bucket name; write s3://bucket/prefix")
    try:
        check_prefix(prefix)
    except StorageError as error:
        raise UsageError(f"{text} cannot be used: {error}") from error
    return Location("s3", bucket, prefix.removesuffix("/"))


def _is_same_place(one: Path, other: Path) -> bool:
    if one == other:
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False
