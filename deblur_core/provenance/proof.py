"""Proves that a published video is its source but for the frames that were restored: before it is published, and again
whenever that is asked, from its record alone.

It reads both files to their ends; it knows neither models nor how frames are restored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from deblur_core.errors import ObjectNotFoundError, RestoreArchiveError, StorageError, VerificationError
from deblur_core.provenance.sidecar import Sidecar, from_bytes, marks_of, sidecar_key
from deblur_core.storage import ObjectInfo, ObjectStore
from deblur_core.storage.hashing import sha256_of
from deblur_core.video.containers import muxer_for
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.framemd5 import (
    ExpectedText,
    FrameChecksums,
    checksum_keys,
    result_lines,
    result_tick,
    source_lines,
)
from deblur_core.video.index import VideoIndex, index_video
from deblur_core.video.picture_check import FrameWatch, PictureCheck
from deblur_core.video.pixel_format import ffv1_name
from deblur_core.video.preservation import MASTER_CODEC
from deblur_core.video.probe import VideoInfo, probe
from deblur_core.video.provenance_tag import ProvenanceTag, read_tag
from deblur_core.video.slow_motion import SlowedFrames, slowed
from deblur_core.video.source import Source
from deblur_core.video.verify import Findings, verify_rebuilt


@dataclass(frozen=True, eq=False)
class Expected:
    """What a rebuilt video must be. restored: bool [N], the frames of the source that may differ; stay: bool [N], those
    whose packets are the source's, None where none are; slow: None but for slow motion."""

    name: str
    info: VideoInfo
    index: VideoIndex
    restored: np.ndarray
    stay: np.ndarray | None
    slow: SlowedFrames | None


def check(
    source: Source, again: Source, result: Source, what: Expected, watch: FrameWatch | None = None
) -> tuple[Findings, ProvenanceTag | None]:
    """Compares a result with its source; source, again: the same file, opened twice; watch: sees all frames of both.

    Returns what was found, and the tag with which the result names its maker. Raises VerificationError.
    """
    times: FrameTimes = what.slow.times if what.slow else what.index
    source_frame = what.slow.source_frame if what.slow else None
    with closing(PictureCheck(again, what.index, what.restored, what.name, what.stay, source_frame, watch)) as pictures:
        tag = read_tag(source, result, muxer_for(what.name), what.name)
        added = (tag.key,) if tag is not None else ()
        findings = verify_rebuilt(source, result, what.info, times, what.name, what.stay, pictures, added)
        pictures.finish()
    return findings, tag


@dataclass(frozen=True)
class Proof:
    """How one video of the source stands. output: the key of its result, None where nothing is published; problems:
    what is wrong, a line each, none where all holds."""

    video: str
    output: str | None
    is_copy: bool
    restored: int
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def repeat_proof(
    source: ObjectStore, video: ObjectInfo, destination: ObjectStore, names: Sequence[str], hashes_only: bool = False
) -> Proof:
    """Checks what is published for `video`, an object of `source`, under one of `names`.

    First hashes of both files against the record, then, for a video with restored frames, all that was checked before
    it was published, unless `hashes_only`. Problems are returned, not raised, whatever is wrong with the files.
    """
    found = _records(destination, names, video.key)
    if not found:
        return Proof(video.key, None, False, 0, ("is not published",))
    if len(found) > 1:
        return Proof(video.key, next(iter(found)), False, 0, (f"is published more than once: {', '.join(found)}",))
    ((output, record),) = found.items()
    if isinstance(record, StorageError):
        return Proof(video.key, output, False, 0, (str(record),))
    try:
        problems = _compare_files(source, video, destination, output, record)
        if not problems and not hashes_only:
            if not record.is_copy:
                _compare_video(source, video, destination, output, record)
            elif _is_master(record):
                _compare_checksums_of_copy(source, video, destination, output)
    except RestoreArchiveError as error:
        problems = [str(error)]
    except ValueError as error:
        problems = [f"its record {sidecar_key(output)} does not fit it: {error}"]
    return Proof(video.key, output, record.is_copy, record.frames.restored, tuple(problems))


def _records(destination: ObjectStore, names: Sequence[str], video: str) -> dict[str, Sidecar | StorageError]:
    """By published name: the record of this video, or why it cannot be read. What another video is published as
    (a `clip.avi.mkv` of its own beside `clip.avi`) is left out."""
    found: dict[str, Sidecar | StorageError] = {}
    for name in names:
        if not destination.exists(name):
            continue
        key = sidecar_key(name)
        try:
            record = from_bytes(destination.read(key), key)
        except ObjectNotFoundError:
            found[name] = StorageError(f"has no record {key}: run again, which writes it if the video holds")
        except StorageError as error:
            found[name] = error
        else:
            if record.source.name == video or name == names[0]:
                found[name] = record
    readable: dict[str, Sidecar | StorageError] = {
        name: record for name, record in found.items() if isinstance(record, Sidecar)
    }
    return readable or dict(list(found.items())[:1])


def _compare_files(
    source: ObjectStore, video: ObjectInfo, destination: ObjectStore, output: str, record: Sidecar
) -> list[str]:
    """Names, sizes and hashes, of both files in full."""
    problems = []
    if (record.source.name, record.result.name) != (video.key, output):
        problems.append(f"its record is of {record.result.name}, made from {record.source.name}")
    published = destination.head(output)
    for what, store, info, facts in (
        ("source", source, video, record.source),
        ("result", destination, published, record.result),
    ):
        if info.size_bytes != facts.size_bytes:
            problems.append(f"the {what} has {info.size_bytes} bytes, its record says {facts.size_bytes}")
            continue
        with _opened(store, info) as file:
            found = sha256_of(file)
        if found != facts.sha256:
            problems.append(f"the {what} has SHA-256 {found[:12]}…, its record says {facts.sha256[:12]}…")
    if record.is_copy and record.source.sha256 != record.result.sha256:
        problems.append("its record calls it a copy and gives it another hash than its source")
    return problems


def _compare_video(
    source: ObjectStore, video: ObjectInfo, destination: ObjectStore, output: str, record: Sidecar
) -> None:
    """Raises VerificationError or another VideoError for the first difference, ValueError for a record that is not of
    this video."""
    with _opened(source, video) as file, _opened(source, video) as again:
        info = probe(file, video.key)
        index = index_video(file, video.key, info)
        if index.frame_count != record.frames.total:
            raise ValueError(f"it counts {record.frames.total} frames, the source has {index.frame_count}")
        restored = marks_of(record.frames.restored_ranges, index.frame_count)
        if int(restored.sum()) != record.frames.restored:
            raise ValueError(f"it counts {record.frames.restored} restored frames and names {int(restored.sum())}")
        stay = marks_of(record.carried.frame_ranges, index.frame_count)
        moments = record.settings.get("slow_motion", 1)
        slow = slowed(index, restored, moments, muxer_for(output), video.key) if moments > 1 else None
        what = Expected(output, info, index, restored, stay if stay.any() else None, slow)
        with _opened(destination, destination.head(output)) as result:
            if not _is_master(record):
                check(file, again, result, what)
                return
            texts = _texts(destination, output)
            layout, shape = ffv1_name(info.pixel_format), info.sample_aspect_ratio
            ticks = (index.time_base, result_tick(result, output))
            checksums = [
                FrameChecksums(layout, tick, shape, text.take) for tick, text in zip(ticks, texts, strict=True)
            ]
            check(file, again, result, what, FrameWatch(checksums[0].see, checksums[1].see))
            for text in texts:
                text.finish()


def _is_master(record: Sidecar) -> bool:
    return bool(record.settings.get("codec") == MASTER_CODEC)


def _compare_checksums_of_copy(source: ObjectStore, video: ObjectInfo, destination: ObjectStore, output: str) -> None:
    """Raises VerificationError for the first line that is not what the files give now."""
    of_source, of_result = _texts(destination, output)
    with _opened(source, video) as file:
        info = probe(file, video.key)
        for line in source_lines(file, info, index_video(file, video.key, info), video.key):
            of_source.take(line)
    with _opened(destination, destination.head(output)) as result:
        for line in result_lines(result, info, output):
            of_result.take(line)
    of_source.finish()
    of_result.finish()


def _texts(destination: ObjectStore, output: str) -> tuple[ExpectedText, ExpectedText]:
    """The checksums beside a master, of its source and of itself. Raises VerificationError where they are missing."""
    found = []
    for key in checksum_keys(output):
        try:
            found.append(ExpectedText(destination.read(key).decode("ascii", "replace"), key))
        except ObjectNotFoundError as error:
            raise VerificationError(f"has no checksums {key} any more: run with --force to have them again") from error
    return found[0], found[1]


@contextmanager
def _opened(store: ObjectStore, info: ObjectInfo) -> Iterator[BinaryIO]:
    """Pinned to this version."""
    file = store.open(info.key, info)
    try:
        yield file
    finally:
        file.close()
