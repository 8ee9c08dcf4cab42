"""The record beside every published video, `<file name>.restoration.json`: what it was made from, how, and what of the
source it still holds.

One JSON object of a versioned schema (docs/sidecar.md). It knows no store and no video file, and holds no path but
keys relative to the archive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from deblur_core.errors import StorageError
from deblur_core.provenance.versions import PROGRAM, program_version
from deblur_core.video.picture_check import PictureFindings
from deblur_core.video.provenance_tag import ProvenanceTag
from deblur_core.video.stream_check import StreamFindings
from deblur_core.video.tag_check import Lost

SCHEMA = "restore-archive/restoration"
SCHEMA_VERSION = 1
SUFFIX = ".restoration.json"

# A range over four lines; no text within JSON holds a line break.
_PAIR = re.compile(r"\[\n\s+(\d+),\n\s+(\d+)\n\s+\]")

Ranges = tuple[tuple[int, int], ...]
"""Runs of frame numbers, first and last included"""


@dataclass(frozen=True)
class FileFacts:
    """name: key relative to its archive; etag: of the source's version, None for a result."""

    name: str
    size_bytes: int
    sha256: str
    etag: str | None = None


@dataclass(frozen=True)
class Model:
    """Which network, with which weights (SHA-256, hex)."""

    name: str
    weights_sha256: str


@dataclass(frozen=True)
class Frames:
    """Of the source; in_result: how many the result has, more with slow motion."""

    total: int
    blurred: int
    restored: int
    rejected: int
    in_result: int
    restored_ranges: Ranges
    rejected_ranges: Ranges


@dataclass(frozen=True)
class Carried:
    """What the result holds byte for byte. whole_file: all of it; frames: packets of the restored video; gops: of
    `gops_of_source` that lost none, None where they cannot be told apart."""

    whole_file: bool
    frames: int
    frame_ranges: Ranges
    gops: int | None
    gops_of_source: int | None
    streams: tuple[StreamFindings, ...]
    chapters: int


@dataclass(frozen=True)
class Converted:
    """Something that the result holds in another form, and how it got there."""

    what: str
    before: str
    after: str
    how: str


@dataclass(frozen=True)
class Checked:
    """What the verification looked at and found. frames: decoded to the end, each at its time."""

    frames: int
    largest_time_error_seconds: float
    largest_offset_change_seconds: float
    untouched_pictures: PictureFindings
    video_packets_identical: int
    other_packets_identical: int


@dataclass(frozen=True)
class Sidecar:
    """The record. checked: None for a copy, which is its source by its hash; written_later: by a run that found a
    published video without one, so that `versions` are not those which made it."""

    written_at: str
    written_later: bool
    run_id: str
    versions: dict[str, str]
    source: FileFacts
    result: FileFacts
    selector: Model
    restorer: Model
    settings: dict[str, Any]
    frames: Frames
    carried: Carried
    converted: tuple[Converted, ...]
    dropped: tuple[Lost, ...]
    checked: Checked | None
    embedded_tag: ProvenanceTag | None

    @property
    def is_copy(self) -> bool:
        return self.carried.whole_file


def sidecar_key(published: str) -> str:
    """The key of the record of a published file."""
    return published + SUFFIX


def provenance_text(published: str) -> str:
    """What a rebuilt file says of itself in a tag; the same whenever and wherever it is made."""
    record = PurePosixPath(sidecar_key(published)).name
    return f"Restored by {PROGRAM} {program_version()}; what was changed is told in {record}"


def to_bytes(sidecar: Sidecar) -> bytes:
    """The JSON object, indented for people."""
    whole = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **asdict(sidecar)}
    text = _PAIR.sub(r"[\1, \2]", json.dumps(whole, indent=1, ensure_ascii=False))
    # What is not UTF-8 in a tag is a lone surrogate here, and an escape in JSON.
    return f"{text}\n".encode("utf-8", "backslashreplace")


def from_bytes(data: bytes, where: str) -> Sidecar:
    """Reads what `to_bytes` wrote. Raises StorageError naming `where` if it is no such record, or of another version;
    an empty one stands beside a video that was being replaced."""
    if not data:
        raise StorageError(f"{where} is empty: a run was stopped while it replaced the video, run it again")
    try:
        whole = json.loads(data)
        if whole["schema"] != SCHEMA or whole["schema_version"] != SCHEMA_VERSION:
            raise StorageError(
                f"{where} has schema {whole['schema']} {whole['schema_version']}, this program reads {SCHEMA} "
                f"{SCHEMA_VERSION}"
            )
        return _read(whole)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        raise StorageError(
            f"{where} is not a readable record ({type(cause).__name__}: {' '.join(str(cause).split())}): it was altered"
        ) from cause


def _read(whole: dict[str, Any]) -> Sidecar:
    carried, frames, checked, tag = whole["carried"], whole["frames"], whole["checked"], whole["embedded_tag"]
    streams = tuple(StreamFindings(**each) for each in carried["streams"])
    ranges = {name: _ranges(frames[name]) for name in ("restored_ranges", "rejected_ranges")}
    if checked is not None:
        checked = Checked(**{**checked, "untouched_pictures": PictureFindings(**checked["untouched_pictures"])})
    given = {name: value for name, value in whole.items() if name not in ("schema", "schema_version")}
    return Sidecar(
        **{
            **given,
            "source": FileFacts(**whole["source"]),
            "result": FileFacts(**whole["result"]),
            "selector": Model(**whole["selector"]),
            "restorer": Model(**whole["restorer"]),
            "frames": Frames(**{**frames, **ranges}),
            "carried": Carried(**{**carried, "frame_ranges": _ranges(carried["frame_ranges"]), "streams": streams}),
            "converted": tuple(Converted(**each) for each in whole["converted"]),
            "dropped": tuple(Lost(**each) for each in whole["dropped"]),
            "checked": checked,
            "embedded_tag": ProvenanceTag(**tag) if tag is not None else None,
        }
    )


def _ranges(pairs: Iterable[Iterable[int]]) -> Ranges:
    return tuple((int(first), int(last)) for first, last in pairs)


def ranges_of(marks: np.ndarray) -> Ranges:
    """The runs of true in bool [N]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return tuple((int(start), int(stop) - 1) for start, stop in edges.reshape(-1, 2))


def marks_of(ranges: Ranges, count: int) -> np.ndarray:
    """bool [count]: the reverse of `ranges_of`. Raises ValueError for a range that is not within the frames."""
    marks = np.zeros(count, bool)
    for first, last in ranges:
        if not 0 <= first <= last < count:
            raise ValueError(f"frames {first} to {last} are not within {count} frames")
        marks[first : last + 1] = True
    return marks
