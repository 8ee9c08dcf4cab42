"""A planned video as workers see it: its facts, its index and its segments; read once and kept for the next call.

Knows how an index is stored; how it is made belongs to `deblur_core.video`.
"""

import io
import json
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deblur_core.errors import StorageError
from deblur_core.manifests.parquet import table_from
from deblur_core.storage import ObjectInfo, ObjectStore, open_store
from deblur_core.video.index import Segment, VideoIndex, plan_segments
from deblur_core.video.probe import VideoInfo, probe
from workers.job import Job, VideoTask

_KEPT_VIDEOS = 8


@dataclass(frozen=True)
class PlannedVideo:
    """Facts of one version of a video."""

    info: VideoInfo
    index: VideoIndex
    segments: tuple[Segment, ...]


class Stores:
    """The three places of a run, opened once in each worker."""

    def __init__(self, job: Job) -> None:
        self.source = open_store(job.source_url)
        self.destination = open_store(job.destination_url)
        self.work = open_store(job.work_url)


@contextmanager
def open_video(source: ObjectStore, video: VideoTask) -> Iterator[BinaryIO]:
    """The source file, pinned to the version that was planned: a change underneath raises ObjectChangedError."""
    file = source.open(video.video, ObjectInfo(video.video, video.size_bytes, video.etag, 0.0))
    try:
        yield file
    finally:
        file.close()


class PlannedVideos:
    """The last few planned videos of a worker; those not at hand are read from the work store."""

    def __init__(self, job: Job, stores: Stores) -> None:
        self._job, self._stores = job, stores
        self._kept: OrderedDict[VideoTask, PlannedVideo] = OrderedDict()

    def get(self, video: VideoTask) -> PlannedVideo:
        """Raises ObjectNotFoundError when the video was never planned."""
        planned = self._kept.pop(video, None)
        if planned is None:
            key = self._job.index_key(video)
            index = index_from_bytes(self._stores.work.read(key), key)
            with open_video(self._stores.source, video) as file:
                info = probe(file, video.video)
            planned = PlannedVideo(info, index, plan_segments(index, self._job.options.segment_frames))
        self._kept[video] = planned
        while len(self._kept) > _KEPT_VIDEOS:
            self._kept.popitem(last=False)
        return planned


def index_to_bytes(index: VideoIndex) -> bytes:
    """An index as a Parquet file: a row a frame, the rest in its metadata."""
    starts = dict(zip(index.boundaries, index.boundary_dts, strict=True))
    numbers = range(index.frame_count)
    table = pa.table(
        {
            "pts": pa.array(index.pts, pa.int64()),
            "is_keyframe": pa.array(index.is_keyframe, pa.bool_()),
            "is_boundary": pa.array([number in starts for number in numbers], pa.bool_()),
            "boundary_dts": pa.array([starts.get(number) for number in numbers], pa.int64()),
            "gop": pa.array(index.gop if index.gop is not None else [None] * len(numbers), pa.int32()),
            "refers_back": pa.array(
                index.refers_back if index.refers_back is not None else [None] * len(numbers), pa.bool_()
            ),
            "is_cut": pa.array(index.is_cut if index.is_cut is not None else [None] * len(numbers), pa.bool_()),
        }
    )
    facts = {
        "time_base": [index.time_base.numerator, index.time_base.denominator],
        "last_duration": index.last_duration,
        "size_bytes": index.size_bytes,
        "made_by_decoding": index.made_by_decoding,
        "gop_hindrance": index.gop_hindrance,
    }
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"index": json.dumps(facts)}), buffer, compression="zstd")
    return buffer.getvalue()


def index_from_bytes(data: bytes, where: str) -> VideoIndex:
    """The reverse of `index_to_bytes`. Raises StorageError naming `where` if it is no such file."""
    try:
        return _index_from_bytes(data)
    except (pa.ArrowException, ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError) as cause:
        raise StorageError(f"{where} is not a readable index: it was altered; delete it and run again") from cause


def _index_from_bytes(data: bytes) -> VideoIndex:
    table = table_from(data)
    facts = json.loads((table.schema.metadata or {})[b"index"])
    boundaries = np.flatnonzero(table["is_boundary"].to_numpy(zero_copy_only=False))
    dts = table["boundary_dts"].take(pa.array(boundaries)).to_pylist()
    if not table.num_rows or not len(boundaries) or boundaries[0]:
        raise ValueError("an index begins with a frame at which decoding can start")
    return VideoIndex(
        pts=table["pts"].to_numpy(),
        is_keyframe=table["is_keyframe"].to_numpy(zero_copy_only=False),
        time_base=Fraction(*facts["time_base"]),
        boundaries=tuple(int(start) for start in boundaries),
        boundary_dts=tuple(dts),
        last_duration=facts["last_duration"],
        size_bytes=facts["size_bytes"],
        made_by_decoding=facts["made_by_decoding"],
        gop=None if table["gop"].null_count else table["gop"].to_numpy(),
        is_cut=None if table["is_cut"].null_count else table["is_cut"].to_numpy(zero_copy_only=False),
        refers_back=(None if table["refers_back"].null_count else table["refers_back"].to_numpy(zero_copy_only=False)),
        gop_hindrance=facts["gop_hindrance"],
    )
