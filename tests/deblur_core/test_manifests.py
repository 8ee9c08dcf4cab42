"""Manifests: the schema is the agreed one, any Parquet tool reads them, and records come back as they went."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deblur_core.errors import StorageError
from deblur_core.manifests.frames import (
    REJECTED,
    RESTORED,
    SCHEMA_NAME,
    SCHEMA_VERSION,
    FrameOutcome,
    SegmentLabels,
    VideoFrames,
    frame_manifest,
    from_bytes,
    labels_from,
    labels_table,
    outcomes_from,
    outcomes_table,
    to_bytes,
)
from deblur_core.manifests.videos import (
    VideoRecord,
    bytes_with,
    each_record,
    merged,
    records_from_bytes,
    records_to_bytes,
)

AGREED = {
    "video": "string",
    "source_etag": "string",
    "frame": "int64",
    "pts": "int64",
    "time_s": "double",
    "is_keyframe": "bool",
    "segment": "int32",
    "blur_probability": "float",
    "is_blurred": "bool",
    "measured": "bool",
    "action": "string",
    "restorer": "string",
    "sharpness_before": "float",
    "sharpness_after": "float",
}
RECORD = VideoRecord(
    "a/ü.mp4", "e", 1 << 40, "print", "restored", None, None, "a/ü.mp4", 900, 100, 30, 25, 5, "run", 1_700_000_000_123
)  # fmt: skip
FAILED = replace(RECORD, video="b.mp4", status="failed", stage="plan", error="no", output=None, output_bytes=None)


def manifest() -> pa.Table:
    """Four frames: sharp, restored, rejected, exactly at the threshold but not yet restored."""
    frames = VideoFrames(
        "clip.mp4",
        "etag",
        np.array([0, 512, 1024, 1536]),
        np.arange(4) / 24,
        np.array([True, False, False, False]),
        np.zeros(4),
    )
    labels = SegmentLabels(0, np.array([0.1, 0.9, 0.8, 0.4], np.float32), np.array([True, True, False, True]))
    outcomes = [FrameOutcome(1, RESTORED, 10.0, 30.0), FrameOutcome(2, REJECTED, 11.0, 9.0)]
    return frame_manifest(frames, labels, 0.4, outcomes, "default")


def test_the_frame_manifest_has_the_agreed_columns_in_order_and_type() -> None:
    assert {field.name: str(field.type) for field in manifest().schema} == AGREED
    assert manifest().schema.names == list(AGREED)


def test_any_parquet_reader_reads_it_and_finds_its_version() -> None:
    file = pq.ParquetFile(io.BytesIO(to_bytes(manifest(), {"fingerprint": "abc"})))
    assert {field.name: str(field.type) for field in file.schema_arrow} == AGREED
    metadata = file.schema_arrow.metadata
    assert metadata[b"schema"].decode() == SCHEMA_NAME == "restore-archive/frames"
    assert metadata[b"schema_version"].decode() == SCHEMA_VERSION
    assert metadata[b"fingerprint"] == b"abc"
    assert file.read().num_rows == 4


def test_each_frame_says_what_became_of_it() -> None:
    rows = manifest().to_pylist()
    assert [row["action"] for row in rows] == ["kept", "restored", "rejected", "kept"]
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]
    assert [row["measured"] for row in rows] == [True, True, False, True]
    assert rows[1]["sharpness_after"] == 30.0


def test_what_was_not_touched_has_nulls_not_numbers() -> None:
    table = manifest()
    for column in ("restorer", "sharpness_before", "sharpness_after"):
        assert table[column].is_null().to_pylist() == [True, False, False, True]


def test_a_frame_exactly_at_the_threshold_is_blurred() -> None:
    assert manifest()["is_blurred"].to_pylist() == [False, True, True, True]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7])
def test_the_threshold_is_compared_in_the_precision_of_the_labels(threshold: float) -> None:
    """0.1 as float32 is greater than 0.1 as float64, 0.7 is less: a label must equal a threshold of the same text."""
    frames = VideoFrames("v", "e", np.zeros(1), np.zeros(1), np.ones(1), np.zeros(1))
    labels = SegmentLabels(0, np.array([threshold], np.float32), np.ones(1, bool))
    assert frame_manifest(frames, labels, threshold, [], "")["is_blurred"].to_pylist() == [True]


def test_rows_written_before_there_were_the_last_columns_are_read() -> None:
    table, metadata = from_bytes(records_to_bytes([RECORD]), "v")
    columns = ["carried", "reencoded_because", "failed_runs", "final_after_runs", "failed_by"]
    older = to_bytes(table.drop_columns(columns), metadata)
    assert records_from_bytes(older, "v") == {RECORD.video: RECORD}


def test_labels_of_parts_are_joined_and_cut() -> None:
    parts = [
        labels_table(SegmentLabels(first, np.arange(first, first + 10) / 100, np.arange(10) % 2 == 0))
        for first in (10, 0, 20)
    ]
    joined = labels_from(parts, 5, 25)
    assert joined.first_frame == 5
    assert joined.probability.tolist() == pytest.approx([number / 100 for number in range(5, 25)])
    assert joined.measured.tolist() == [number % 2 == 0 for number in range(5, 25)]


def test_a_whole_manifest_serves_as_labels() -> None:
    assert labels_from([manifest()], 1, 3).probability.tolist() == pytest.approx([0.9, 0.8])


def test_a_frame_without_label_is_an_error() -> None:
    parts = [labels_table(SegmentLabels(first, np.zeros(10), np.ones(10, bool))) for first in (0, 20)]
    with pytest.raises(StorageError, match="labels of frames 5 to 24 are incomplete"):
        labels_from(parts, 5, 25)


def test_outcomes_come_back_as_they_went() -> None:
    outcomes = [FrameOutcome(3, RESTORED, 1.5, 2.5), FrameOutcome(9, REJECTED, 4.0, 3.0)]
    table, _ = from_bytes(to_bytes(outcomes_table(outcomes), {}), "outcomes")
    assert outcomes_from(table) == outcomes
    assert outcomes_from(from_bytes(to_bytes(outcomes_table([]), {}), "outcomes")[0]) == []


@pytest.mark.parametrize("data", [b"", b"not parquet", b"PAR1 cut short"])
def test_what_is_no_parquet_is_named(data: bytes) -> None:
    with pytest.raises(StorageError, match=r"out/frames\.parquet is not a readable Parquet file"):
        from_bytes(data, "out/frames.parquet")


def test_another_version_is_refused() -> None:
    data = to_bytes(manifest(), {"schema_version": "99"})
    with pytest.raises(StorageError, match="version 99"):
        from_bytes(data, "out/frames.parquet")


def test_records_come_back_as_they_went_sorted_by_video() -> None:
    back = records_from_bytes(records_to_bytes([FAILED, RECORD]), "videos.parquet")
    assert back == {RECORD.video: RECORD, FAILED.video: FAILED}
    assert list(back) == [RECORD.video, FAILED.video]


def test_a_file_of_more_rows_than_are_taken_at_once_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deblur_core.manifests.videos._ROWS", 3)
    records = [replace(RECORD, video=f"{number}.mp4") for number in range(7)]
    assert list(each_record(records_to_bytes(records), "v")) == records


def test_no_record_at_all_is_a_file_too() -> None:
    assert records_from_bytes(records_to_bytes([]), "videos.parquet") == {}


def test_any_parquet_reader_reads_the_videos_with_times_as_times() -> None:
    table = pq.read_table(io.BytesIO(records_to_bytes([RECORD, FAILED])))
    assert str(table.schema.field("finished_at").type) == "timestamp[ms, tz=UTC]"
    row = table.to_pylist()[0]
    assert row["finished_at"].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert table["output"].is_null().to_pylist() == [False, True]
    assert table.schema.metadata[b"schema"] == b"restore-archive/videos"


def test_new_records_replace_old_ones_of_the_same_video() -> None:
    old = {RECORD.video: RECORD, FAILED.video: FAILED}
    after = merged(old, [replace(RECORD, run_id="later")])
    assert after[RECORD.video].run_id == "later"
    assert after[FAILED.video] == FAILED
    assert old[RECORD.video].run_id == "run"


def failing(**changes: Any) -> VideoRecord:
    return replace(FAILED, **{"failed_runs": 1, "final_after_runs": 3, "failed_by": "program 1", **changes})


def test_runs_that_failed_of_the_same_are_counted_each_once() -> None:
    video = FAILED.video
    after = merged({video: failing(run_id="first")}, [failing(run_id="second")])
    assert after[video].failed_runs == 2
    assert merged(after, [failing(run_id="second")])[video].failed_runs == 2
    assert not after[video].is_final
    third = merged(after, [failing(run_id="third")])[video]
    assert (third.failed_runs, third.is_final) == (3, True)


@pytest.mark.parametrize("change", ["source_etag", "fingerprint", "failed_by", "final_after_runs"])
def test_a_failure_of_something_else_is_counted_from_one(change: str) -> None:
    other = 1 if change == "final_after_runs" else "other"
    after = merged({FAILED.video: failing(run_id="first")}, [failing(run_id="second", **{change: other})])
    assert after[FAILED.video].failed_runs == 1


def test_a_file_with_new_records_is_what_merging_every_record_gives() -> None:
    others = [replace(RECORD, video=f"{number:03d}.mp4") for number in (7, 3, 5)]
    old = {record.video: record for record in (RECORD, failing(run_id="first"), *others)}
    new = [failing(run_id="second"), replace(RECORD, run_id="later"), replace(RECORD, video="new.mp4")]
    data = records_to_bytes(old.values())
    assert bytes_with(data, new, "v") == records_to_bytes(merged(old, new).values())
    assert bytes_with(records_to_bytes([]), new, "v") == records_to_bytes(merged({}, new).values())
    table, metadata = from_bytes(data, "v")
    older = to_bytes(table.drop_columns(["carried", "reencoded_because"]), metadata)
    before = records_from_bytes(older, "v")
    assert bytes_with(older, new, "v") == records_to_bytes(merged(before, new).values())
    with pytest.raises(StorageError, match="is not a table of videos"):
        bytes_with(to_bytes(table.drop_columns(["video"]), metadata), new, "v")


@pytest.mark.parametrize(("final_after", "final"), [(1, True), (3, False), (None, False)])
def test_what_is_final_at_once_later_or_never(final_after: int | None, final: bool) -> None:
    assert failing(final_after_runs=final_after).is_final is final
    assert not replace(RECORD, failed_runs=1, final_after_runs=final_after).is_final
