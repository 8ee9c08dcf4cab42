"""`videos.parquet`: one row for each video of the archive, as the last run that touched it left it.

It is what makes the next run fast: a row whose source, models and settings are unchanged means nothing to do, be it
published or failed for good.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace

import pyarrow as pa
import pyarrow.compute as pc

from deblur_core.errors import StorageError
from deblur_core.manifests.frames import UNREADABLE, from_bytes, to_bytes

RESTORED, UNCHANGED, FAILED = "restored", "unchanged", "failed"
_ROWS = 16_384
"""that are turned into records at once"""

VIDEO_SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("source_etag", pa.string(), nullable=False),
        pa.field("source_bytes", pa.int64(), nullable=False),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=True),
        pa.field("error", pa.string(), nullable=True),
        pa.field("output", pa.string(), nullable=True),
        pa.field("output_bytes", pa.int64(), nullable=True),
        pa.field("frames", pa.int64(), nullable=False),
        pa.field("blurred", pa.int64(), nullable=False),
        pa.field("restored", pa.int64(), nullable=False),
        pa.field("rejected", pa.int64(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("finished_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("carried", pa.int64(), nullable=False),
        pa.field("reencoded_because", pa.string(), nullable=True),
        pa.field("failed_runs", pa.int64(), nullable=False),
        pa.field("final_after_runs", pa.int64(), nullable=True),
        pa.field("failed_by", pa.string(), nullable=True),
    ]
)


@dataclass(frozen=True)
class VideoRecord:
    """A row. fingerprint: hash of models and settings; output: the published key; finished_at: ms since 1970; carried:
    frames of a restored video whose packets stayed byte for byte; reencoded_because: why there are none.

    failed_runs: in how many runs in a row the same versions of the program (failed_by) failed of the same source with
    the same settings; final_after_runs: how many make it final, None is never.
    """

    video: str
    source_etag: str
    source_bytes: int
    fingerprint: str
    status: str
    stage: str | None
    error: str | None
    output: str | None
    output_bytes: int | None
    frames: int
    blurred: int
    restored: int
    rejected: int
    run_id: str
    finished_at: int
    carried: int = 0
    reencoded_because: str | None = None
    failed_runs: int = 0
    final_after_runs: int | None = None
    failed_by: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether it failed, and would again: the next run leaves it alone as long as nothing else changes."""
        return self.status == FAILED and self.final_after_runs is not None and self.failed_runs >= self.final_after_runs


def records_to_bytes(records: Iterable[VideoRecord]) -> bytes:
    """A Parquet file of the rows, sorted by video."""
    return _file(_table(records))


def bytes_with(data: bytes, new: Iterable[VideoRecord], where: str) -> bytes:
    """What `records_to_bytes(merged(records_from_bytes(data, where), new).values())` gives, without an object for each
    row that stays: an archive has a million of them, and they are written anew all night."""
    old, _ = from_bytes(data, where)
    try:
        newer = {record.video: record for record in new}
        is_replaced = pc.is_in(old["video"], value_set=pa.array(list(newer), pa.string()))
        replaced = {record.video: record for record in _records(old.filter(is_replaced))}
        staying = _completed(old.filter(pc.invert(is_replaced)))
    except UNREADABLE as cause:
        raise _unreadable(where) from cause
    return _file(pa.concat_tables([staying, _table(merged(replaced, newer.values()).values())]).combine_chunks())


def _file(table: pa.Table) -> bytes:
    return to_bytes(table.sort_by("video"), {"schema": "restore-archive/videos"})


def _table(records: Iterable[VideoRecord]) -> pa.Table:
    rows = list(records)
    columns = [
        pa.array([getattr(row, name.name) for row in rows], field.type)
        for name, field in zip(fields(VideoRecord), VIDEO_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=VIDEO_SCHEMA)


def _completed(table: pa.Table) -> pa.Table:
    """With the last columns, which rows lack that were written before there were any. Raises what pyarrow raises."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.array([name.default] * len(table), field.type)
        for name, field in zip(fields(VideoRecord), VIDEO_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=VIDEO_SCHEMA)


def _unreadable(where: str) -> StorageError:
    return StorageError(f"{where} is not a table of videos: it is damaged, delete it and run again")


def records_from_bytes(data: bytes, where: str) -> dict[str, VideoRecord]:
    """The rows by video. Raises StorageError naming `where` when the file is not ours."""
    return {record.video: record for record in each_record(data, where)}


def each_record(data: bytes, where: str) -> Iterator[VideoRecord]:
    """The rows one after the other: an archive has a million. Raises StorageError like `records_from_bytes`."""
    table, _ = from_bytes(data, where)
    try:
        yield from _records(table)
    except UNREADABLE as cause:
        raise _unreadable(where) from cause


def _records(table: pa.Table) -> Iterator[VideoRecord]:
    """Raises what pyarrow raises over a table of something else."""
    # Rows written before there were the last columns lack them.
    names = [name for name in VIDEO_SCHEMA.names if name in table.column_names]
    for first in range(0, len(table), _ROWS):
        part = table.slice(first, _ROWS)
        columns = [(part[name].cast(pa.int64()) if name == "finished_at" else part[name]).to_pylist() for name in names]
        for row in zip(*columns, strict=True):
            yield VideoRecord(**dict(zip(names, row, strict=True)))


def merged(old: Mapping[str, VideoRecord], new: Iterable[VideoRecord]) -> dict[str, VideoRecord]:
    """The rows of an archive after a run: new ones replace old ones of the same video, and go on counting where they
    failed of the same."""
    return {**old, **{record.video: _counted(old.get(record.video), record) for record in new}}


def _counted(old: VideoRecord | None, new: VideoRecord) -> VideoRecord:
    if old is None or old.status != FAILED or new.status != FAILED or _failing(old) != _failing(new):
        return new
    return replace(new, failed_runs=old.failed_runs + (old.run_id != new.run_id))


def _failing(record: VideoRecord) -> tuple[object, ...]:
    return record.source_etag, record.fingerprint, record.final_after_runs, record.failed_by


def as_row(record: VideoRecord) -> dict[str, object]:
    """A record as plain values, for JSON."""
    return asdict(record)
