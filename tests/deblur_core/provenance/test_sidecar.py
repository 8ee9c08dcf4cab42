"""The record beside a published video: what it says is read back as it was, and nothing else passes for one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from deblur_core.errors import StorageError
from deblur_core.provenance.sidecar import (
    Carried,
    Checked,
    Converted,
    FileFacts,
    Frames,
    Model,
    Sidecar,
    from_bytes,
    marks_of,
    provenance_text,
    ranges_of,
    to_bytes,
)
from deblur_core.provenance.versions import versions
from deblur_core.video.picture_check import PictureFindings
from deblur_core.video.provenance_tag import ProvenanceTag
from deblur_core.video.stream_check import StreamFindings
from deblur_core.video.tag_check import Lost

REBUILT = Sidecar(
    written_at="2026-01-02T03:04:05Z",
    written_later=False,
    run_id="run",
    versions=versions(),
    source=FileFacts("a/clip.avi", 10, "ab" * 32, "etag"),
    result=FileFacts("a/clip.avi.mkv", 20, "cd" * 32),
    selector=Model("default", "12" * 32),
    restorer=Model("default", "34" * 32),
    settings={"threshold": 0.5, "slow_motion": 1},
    frames=Frames(48, 12, 9, 3, 48, ((3, 8), (20, 22)), ((9, 11),)),
    carried=Carried(False, 24, ((24, 47),), 2, 4, (StreamFindings(1, "audio", "aac", 93, 17424),), 0),
    converted=(Converted("container", "avi", "matroska", "all packets were put into the other container"),),
    dropped=(Lost("tag software of the file", "a matroska file as FFmpeg writes it does not hold it"),),
    checked=Checked(48, 0.0004, 0.0, PictureFindings(24, 15, 51.2, 3), 24, 93),
    embedded_tag=ProvenanceTag("comment", "Restored by …"),
)
COPY = replace(
    REBUILT,
    carried=Carried(True, 48, ((0, 47),), None, None, (), 0),
    converted=(),
    dropped=(),
    checked=None,
    embedded_tag=None,
)


ODD = replace(REBUILT, source=FileFacts("ä/ü \\n.avi", 1, "x", "e"), dropped=(Lost("tag \udcff of the file", "…"),))


@pytest.mark.parametrize("sidecar", [REBUILT, COPY, ODD])
def test_it_is_read_back_as_it_was_written(sidecar: Sidecar) -> None:
    assert from_bytes(to_bytes(sidecar), "here") == sidecar
    assert from_bytes(to_bytes(sidecar), "here").is_copy == (sidecar is COPY)


def test_a_range_takes_one_line() -> None:
    assert "   [3, 8],\n" in to_bytes(REBUILT).decode()


def _altered(**changes: object) -> bytes:
    whole = {**json.loads(to_bytes(REBUILT)), **changes}
    return json.dumps({name: value for name, value in whole.items() if value != "left out"}).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty: a run was stopped while it replaced the video"),
        (b"not JSON", "was altered"),
        (b"[]", "was altered"),
        (_altered(schema_version=2), "schema restore-archive/restoration 2, this program reads"),
        (_altered(schema="else"), "schema else 1"),
        (_altered(frames="left out"), "was altered"),
        (_altered(result={"name": "x"}), "was altered"),
        (_altered(surplus=1), "was altered"),
    ],
)
def test_what_is_no_record_is_refused_with_where_and_why(data: bytes, words: str) -> None:
    with pytest.raises(StorageError, match=words) as raised:
        from_bytes(data, "clip.mp4.restoration.json")
    assert str(raised.value).startswith("clip.mp4.restoration.json ")
    assert "\n" not in str(raised.value)


def test_runs_of_frames_become_ranges_and_back() -> None:
    marks = np.isin(np.arange(10), [0, 1, 4, 9])
    assert ranges_of(marks) == ((0, 1), (4, 4), (9, 9))
    assert np.array_equal(marks_of(ranges_of(marks), 10), marks)
    assert ranges_of(np.zeros(3, bool)) == ()


@pytest.mark.parametrize("ranges", [((0, 10),), ((-1, 3),), ((5, 4),)])
def test_a_range_that_is_not_within_the_video_is_refused(ranges: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="not within 10 frames"):
        marks_of(ranges, 10)


def test_a_file_points_at_its_record_by_name_alone() -> None:
    assert provenance_text("films/a/clip.mp4").endswith(" clip.mp4.restoration.json")
    assert "films" not in provenance_text("films/a/clip.mp4")


def test_versions_name_what_decodes_encodes_and_computes() -> None:
    assert {"restore-archive", "pyav", "ffmpeg", "libavcodec", "torch"} <= set(versions())
    assert all(text and "/" not in text for text in versions().values())
