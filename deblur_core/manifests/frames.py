"""The frame manifest: one row a frame in presentation order, in parts per segment, joined per video.

Knows how rows are stored and joined; what a label or an action means is decided elsewhere.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deblur_core.errors import StorageError
from deblur_core.manifests.parquet import table_from

SCHEMA_NAME = "restore-archive/frames"
SCHEMA_VERSION = "1"
KEPT, RESTORED, REJECTED = "kept", "restored", "rejected"

FRAME_SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("source_etag", pa.string(), nullable=False),
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("pts", pa.int64(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("is_keyframe", pa.bool_(), nullable=False),
        pa.field("segment", pa.int32(), nullable=False),
        pa.field("blur_probability", pa.float32(), nullable=False),
        pa.field("is_blurred", pa.bool_(), nullable=False),
        pa.field("measured", pa.bool_(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("restorer", pa.string(), nullable=True),
        pa.field("sharpness_before", pa.float32(), nullable=True),
        pa.field("sharpness_after", pa.float32(), nullable=True),
    ]
)


@dataclass(frozen=True)
class SegmentLabels:
    """What the selector says of the frames `first_frame` … : probability float32 [N] in [0, 1], measured bool [N]."""

    first_frame: int
    probability: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True)
class FrameOutcome:
    """What became of one blurred frame; sharpness as `deblur_core.verdict.sharpness` measures it.

    backwards: its moments (slow motion) are stored last first.
    """

    frame: int
    action: str
    sharpness_before: float
    sharpness_after: float
    backwards: bool = False


UNREADABLE = (pa.ArrowException, ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What pyarrow, and who reads its tables, raises over a file that is damaged or not ours; UnicodeDecodeError is a
ValueError."""


def to_bytes(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    """A Parquet file (zstd) of `table`, with the schema's name and version and `metadata` in its footer."""
    named = {"schema": SCHEMA_NAME, "schema_version": SCHEMA_VERSION, **metadata}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(named), buffer, compression="zstd")
    return buffer.getvalue()


def from_bytes(data: bytes, where: str) -> tuple[pa.Table, dict[str, str]]:
    """Reads what `to_bytes` wrote. Raises StorageError naming `where` if it is no manifest of this version."""
    try:
        table = table_from(data)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    except UNREADABLE as cause:
        raise StorageError(f"{where} is not a readable Parquet file: it is damaged, delete it and run again") from cause
    if metadata.get("schema_version") != SCHEMA_VERSION:
        found = metadata.get("schema_version", "none")
        raise StorageError(f"{where} has manifest version {found}, this program reads {SCHEMA_VERSION}")
    return table, metadata


def labels_table(labels: SegmentLabels) -> pa.Table:
    """A segment's labels as the part that the classify stage stores."""
    frames = np.arange(labels.first_frame, labels.first_frame + len(labels.probability), dtype=np.int64)
    columns = {
        "frame": frames,
        "blur_probability": labels.probability.astype(np.float32),
        "measured": labels.measured.astype(bool),
    }
    return pa.table(columns)


_LABEL_SCHEMA = pa.schema([("frame", pa.int64()), ("blur_probability", pa.float32()), ("measured", pa.bool_())])


def labels_from(tables: Sequence[pa.Table], first_frame: int, stop_frame: int) -> SegmentLabels:
    """Joins the labels of consecutive parts (or a whole manifest) and cuts out the frames asked for.

    Raises StorageError when a frame has no label, or a table is none of labels.
    """
    try:
        joined = pa.concat_tables([table.select(_LABEL_SCHEMA.names).cast(_LABEL_SCHEMA) for table in tables])
    except UNREADABLE as cause:
        raise StorageError("the table of labels is damaged: run again with --force") from cause
    order = np.argsort(joined["frame"].to_numpy(), kind="stable")
    frames = joined["frame"].to_numpy()[order]
    low, high = np.searchsorted(frames, [first_frame, stop_frame])
    if high - low != stop_frame - first_frame:
        raise StorageError(f"labels of frames {first_frame} to {stop_frame - 1} are incomplete: run again with --force")
    pick = order[low:high]
    probability = joined["blur_probability"].to_numpy()[pick]
    measured = joined["measured"].to_numpy(zero_copy_only=False)[pick]
    return SegmentLabels(first_frame, probability.astype(np.float32), measured.astype(bool))


def outcomes_table(outcomes: Sequence[FrameOutcome]) -> pa.Table:
    """What the deblur stage did in one segment, as the part that it stores."""
    return pa.table(
        {
            "frame": pa.array([o.frame for o in outcomes], pa.int64()),
            "action": pa.array([o.action for o in outcomes], pa.string()),
            "sharpness_before": pa.array([o.sharpness_before for o in outcomes], pa.float32()),
            "sharpness_after": pa.array([o.sharpness_after for o in outcomes], pa.float32()),
            "backwards": pa.array([o.backwards for o in outcomes], pa.bool_()),
        }
    )


def outcomes_from(table: pa.Table) -> list[FrameOutcome]:
    """The reverse of `outcomes_table`. Raises StorageError for a table that is none."""
    try:
        return [FrameOutcome(**row) for row in table.to_pylist()]
    except UNREADABLE as cause:
        raise StorageError("the restored frames' table is damaged: run again with --force") from cause


@dataclass(frozen=True)
class VideoFrames:
    """The facts of a video's frames that do not depend on labels; arrays of N frames in presentation order."""

    video: str
    source_etag: str
    pts: np.ndarray
    time_s: np.ndarray
    is_keyframe: np.ndarray
    segment: np.ndarray


def frame_manifest(
    video: VideoFrames, labels: SegmentLabels, threshold: float, outcomes: Sequence[FrameOutcome], restorer: str
) -> pa.Table:
    """The manifest of a whole video: labels for all its frames, outcomes for those that were blurred."""
    count = len(video.pts)
    action = np.full(count, KEPT, dtype=object)
    before, after = np.full(count, np.nan, np.float32), np.full(count, np.nan, np.float32)
    for outcome in outcomes:
        action[outcome.frame] = outcome.action
        before[outcome.frame], after[outcome.frame] = outcome.sharpness_before, outcome.sharpness_after
    touched = action != KEPT
    columns = [
        pa.array([video.video] * count, pa.string()),
        pa.array([video.source_etag] * count, pa.string()),
        pa.array(np.arange(count, dtype=np.int64)),
        pa.array(video.pts.astype(np.int64)),
        pa.array(video.time_s.astype(np.float64)),
        pa.array(video.is_keyframe.astype(bool)),
        pa.array(video.segment.astype(np.int32)),
        pa.array(labels.probability.astype(np.float32)),
        pa.array(labels.probability >= np.float32(threshold)),
        pa.array(labels.measured.astype(bool)),
        pa.array(action, pa.string()),
        pa.array([restorer if each else None for each in touched], pa.string()),
        pa.array(before, mask=~touched),
        pa.array(after, mask=~touched),
    ]
    return pa.Table.from_arrays(columns, schema=FRAME_SCHEMA)
