"""Every published video has a record that tells the truth of it, however a run ends; the proof finds what does not."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from deblur_core.manifests.frames import from_bytes as manifest_from_bytes
from deblur_core.manifests.frames import to_bytes as manifest_to_bytes
from deblur_core.provenance.proof import Proof, repeat_proof
from deblur_core.provenance.sidecar import Sidecar, from_bytes
from deblur_core.storage.hashing import sha256_of
from deblur_core.verdict import VerdictLimits
from deblur_core.video.containers import output_name
from tests.media import make_clip, remux
from tests.workers.shaken_clip import shaken_clip
from tests.workers.test_stages import Line, job_in, with_options
from workers.sealing import Sealer

pytestmark = pytest.mark.usefixtures("one_restorer")

SHAKEN = "films/shaken.mp4"
COPY = "films/sharp.mp4"
Archive = Callable[[], Path]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive `in` of two videos, published in `out`. Tests only look."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "in" / "films").mkdir(parents=True)
    shaken_clip(folder / "in" / SHAKEN, frames=36, shaken=((10, 14),), size=(160, 112))
    make_clip(folder / "in" / COPY, frames=12, size=(96, 64))
    line = Line(job_in(folder))
    for video in (SHAKEN, COPY):
        assert line.restore(video) is not None
    return folder


@pytest.fixture
def archive(published: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil; the very same source files, for their times are part of their version."""
    shutil.copytree(published / "in", tmp_path / "in", copy_function=lambda old, new: Path(new).hardlink_to(old))
    shutil.copytree(published / "out", tmp_path / "out")
    return tmp_path


def record_path(folder: Path, video: str) -> Path:
    return folder / "out" / f"{video}.restoration.json"


def record(folder: Path, video: str) -> Sidecar:
    return from_bytes(record_path(folder, video).read_bytes(), video)


def prove(folder: Path, video: str, hashes_only: bool = False) -> Proof:
    stores = Line(job_in(folder)).stores
    names = list(dict.fromkeys([video, output_name(video)]))
    return repeat_proof(stores.source, stores.source.head(video), stores.destination, names, hashes_only)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return sha256_of(file)


@pytest.mark.parametrize("video", [SHAKEN, COPY])
def test_a_record_says_what_both_files_are(published: Path, video: str) -> None:
    told = record(published, video)
    for facts, path in ((told.source, published / "in" / video), (told.result, published / "out" / video)):
        assert (facts.name, facts.size_bytes, facts.sha256) == (video, path.stat().st_size, digest(path))
    assert told.is_copy == (video == COPY)
    assert (told.run_id, told.written_later) == ("run", False)
    assert len(told.selector.weights_sha256) == len(told.restorer.weights_sha256) == 64
    assert told.settings["threshold"] == 0.5
    text = record_path(published, video).read_text()
    assert str(published) not in text
    assert str(Path(av.__file__).parents[3]) not in text


def test_the_record_of_a_restored_video_says_what_became_of_its_frames(published: Path) -> None:
    told = record(published, SHAKEN)
    rows = Line(job_in(published)).manifest(SHAKEN)
    restored = [row["frame"] for row in rows if row["action"] == "restored"]
    assert [frame for first, last in told.frames.restored_ranges for frame in range(first, last + 1)] == restored
    assert (told.frames.total, told.frames.in_result, told.frames.restored) == (36, 36, len(restored))
    assert (told.carried.gops_of_source, told.carried.gops) == (3, 1)
    assert told.carried.frame_ranges == ((0, 9), (24, 35))
    assert [(each.kind, each.codec) for each in told.carried.streams] == [("audio", "aac")]
    assert [(each.what, each.before, each.after) for each in told.converted] == [
        ("video stream 0", "h264 yuv420p", "libx264 yuv420p")
    ]
    checked = told.checked
    assert checked is not None
    pictures = checked.untouched_pictures
    assert (checked.frames, checked.largest_time_error_seconds, checked.largest_offset_change_seconds) == (36, 0, 0)
    assert checked.video_packets_identical == told.carried.frames == pictures.identical
    assert pictures.identical + pictures.differing == 36 - len(restored)


def test_the_file_itself_points_at_its_record_and_keeps_the_tags_of_its_source(published: Path) -> None:
    with av.open(str(published / "out" / SHAKEN)) as container:
        comment = container.metadata["comment"]
    assert comment.endswith("what was changed is told in shaken.mp4.restoration.json")
    told = record(published, SHAKEN).embedded_tag
    assert told is not None
    assert (told.key, told.text) == ("comment", comment)


@pytest.mark.parametrize("hashes_only", [False, True])
@pytest.mark.parametrize("video", [SHAKEN, COPY])
def test_what_was_published_is_proved_again(published: Path, video: str, hashes_only: bool) -> None:
    proof = prove(published, video, hashes_only)
    assert (proof.output, proof.is_copy, proof.problems) == (video, video == COPY, ())


@pytest.mark.parametrize("video", [SHAKEN, COPY])
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("a byte of the result", "the result has SHA-256"),
        ("the end of the result", "bytes, its record says"),
        ("a byte of the source", "the source has SHA-256"),
        ("result", "is not published"),
        ("record", "has no record"),
        ("half a record", "was altered"),
        ("an empty record", "a run was stopped while it replaced the video"),
    ],
)
def test_harm_is_found(archive: Path, video: str, harm: str, words: str) -> None:
    source, result, told = archive / "in" / video, archive / "out" / video, record_path(archive, video)
    if harm == "a byte of the result":
        _flip(result)
    elif harm == "the end of the result":
        result.write_bytes(result.read_bytes()[:-9])
    elif harm == "a byte of the source":
        data = source.read_bytes()
        source.unlink()
        source.write_bytes(data)
        _flip(source)
    elif harm == "half a record":
        told.write_bytes(told.read_bytes()[:200])
    elif harm == "an empty record":
        told.write_bytes(b"")
    else:
        (result if harm == "result" else told).unlink()
    problems = prove(archive, video).problems
    assert len(problems) == 1
    assert words in problems[0]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_records_of_two_videos_that_were_swapped_are_found(archive: Path) -> None:
    one, other = record_path(archive, SHAKEN), record_path(archive, COPY)
    texts = one.read_bytes(), other.read_bytes()
    one.write_bytes(texts[1])
    other.write_bytes(texts[0])
    for video, told in ((SHAKEN, COPY), (COPY, SHAKEN)):
        assert f"its record is of {told}, made from {told}" in prove(archive, video).problems


def _sealed_anew(folder: Path, video: str, **changes: Any) -> None:
    """As somebody would who alters a result and its record with it."""
    path, result = record_path(folder, video), folder / "out" / video
    told = json.loads(path.read_text())
    told["result"] |= {"size_bytes": result.stat().st_size, "sha256": digest(result)}
    for name, change in changes.items():
        told[name] |= change
    path.write_text(json.dumps(told))


def _swap_sound(result: Path) -> None:
    tone = make_clip(result.with_name("tone.mp4"), frames=36, size=(64, 48), audio=2)
    kept = result.rename(result.with_name("kept.mp4"))
    with av.open(str(kept)) as seen, av.open(str(tone)) as heard:
        options = {"movie_timescale": "90000"}
        with av.open(str(result), "w", options=options) as out:
            out.metadata.update(seen.metadata)
            streams = [(seen, seen.streams.video[0]), (heard, heard.streams.audio[1])]
            copies = [out.add_stream_from_template(stream, opaque=True) for _, stream in streams]
            for (container, stream), copied in zip(streams, copies, strict=True):
                copied.time_base = stream.time_base
                for packet in container.demux(stream):
                    if packet.size:
                        packet.stream = copied
                        out.mux(packet)
    tone.unlink()
    kept.unlink()


def _lose_pictures(result: Path) -> None:
    kept = result.rename(result.with_name("kept.mp4"))
    remux(kept, result, skip_video_packets=12)
    kept.unlink()


@pytest.mark.parametrize(
    ("harm", "words"), [(_swap_sound, "differs in the bytes of packet"), (_lose_pictures, "frame 0 was shown at")]
)
def test_a_result_that_was_altered_with_its_record_is_found(
    archive: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(archive / "out" / SHAKEN)
    _sealed_anew(archive, SHAKEN)
    problems = prove(archive, SHAKEN).problems
    assert len(problems) == 1
    assert words in problems[0]
    assert prove(archive, SHAKEN, hashes_only=True).holds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": {"restored_ranges": [], "restored": 0}}, "was not restored, yet it would be"),
        ({"frames": {"restored_ranges": [[0, 4]]}}, "restored frames and names 5"),
        ({"frames": {"restored_ranges": [[30, 99]]}}, "not within 36 frames"),
        ({"frames": {"total": 12}}, "it counts 12 frames, the source has 36"),
        ({"carried": {"frame_ranges": [[0, 35]]}}, "was to stay"),
    ],
)
def test_a_record_that_does_not_fit_its_video_is_found(archive: Path, changes: dict[str, Any], words: str) -> None:
    _sealed_anew(archive, SHAKEN, **changes)
    problems = prove(archive, SHAKEN).problems
    assert len(problems) == 1
    assert words in problems[0]


@pytest.mark.parametrize("video", [SHAKEN, COPY])
@pytest.mark.parametrize("left", ["nothing", "an empty record"])
def test_a_missing_record_is_written_by_the_next_run_without_restoring_again(
    archive: Path, video: str, left: str
) -> None:
    before = json.loads(record_path(archive, video).read_text())
    if left == "nothing":
        record_path(archive, video).unlink()
    else:
        record_path(archive, video).write_bytes(b"")
    line = Line(job_in(archive))
    line.restore(video)
    assert (line.calls, line.reused) == (Counter(), Counter(plan=1))
    after = json.loads(record_path(archive, video).read_text())
    assert after["written_later"]
    for changing in ("written_at", "written_later"):
        del before[changing], after[changing]
    assert after == before
    assert prove(archive, video).holds


def test_what_was_encoded_as_a_whole_gets_its_record_with_the_reason_that_its_manifest_tells(archive: Path) -> None:
    plain = job_in(archive)
    whole = Line(with_options(plain, reencode=True))
    whole.restore(SHAKEN)
    key = plain.manifest_key(whole.task(SHAKEN))
    table, metadata = manifest_from_bytes(whole.stores.destination.read(key), key)
    row = json.loads(metadata["record"])
    for told_then, told_now in ((None, "an earlier version encoded all of it"), ("of this and that",) * 2):
        changed = {"fingerprint": plain.fingerprint, "record": json.dumps({**row, "reencoded_because": told_then})}
        whole.stores.destination.put(key, manifest_to_bytes(table, {**metadata, **changed}))
        record_path(archive, SHAKEN).unlink()
        line = Line(plain)
        line.restore(SHAKEN)
        assert (line.calls, line.reused) == (Counter(), Counter(plan=1))
        told = record(archive, SHAKEN)
        assert (told.written_later, told.carried.frames) == (True, 0)
        assert told.converted[0].how.endswith(f"because {told_now}")
        assert prove(archive, SHAKEN).holds


def test_a_video_that_is_not_what_its_manifest_says_is_made_again_not_sealed(archive: Path) -> None:
    _flip(archive / "out" / COPY)
    record_path(archive, COPY).unlink()
    line = Line(job_in(archive))
    line.restore(COPY)
    assert line.calls["publish"] == 1
    assert (archive / "out" / COPY).read_bytes() == (archive / "in" / COPY).read_bytes()
    assert prove(archive, COPY).holds


def test_a_run_that_is_stopped_while_it_replaces_a_video_leaves_no_false_record(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    again = with_options(job_in(archive), crf=40.0, limits=VerdictLimits(sharpness_gain=0.0))
    with monkeypatch.context() as patch:
        patch.setattr(Sealer, "seal", killed)
        with pytest.raises(KilledError):
            Line(again).restore(SHAKEN)
    assert record_path(archive, SHAKEN).read_bytes() == b""
    assert "a run was stopped" in prove(archive, SHAKEN).problems[0]
    line = Line(again)
    line.restore(SHAKEN)
    assert (line.calls["deblur"], line.calls["publish"]) == (0, 1)
    assert prove(archive, SHAKEN).holds
    assert record(archive, SHAKEN).settings["crf"] == 40.0


def test_a_name_that_leaves_no_room_for_the_record_is_refused_before_any_work(archive: Path) -> None:
    from deblur_core.errors import StorageError

    video = f"films/{'x' * 235}.mp4"
    (archive / "in" / video).hardlink_to(archive / "in" / COPY)
    line = Line(job_in(archive))
    with pytest.raises(StorageError, match="File name too long"):
        line.run("plan", line.task(video))


def test_what_another_video_is_published_as_is_not_taken_for_its_own(archive: Path) -> None:
    """`clip.avi.mkv` may be a video of the archive, and what `clip.avi` would become."""
    make_clip(archive / "in" / "clip.avi.mkv", frames=6, size=(96, 64))
    (archive / "in" / "clip.avi").write_bytes(b"not read")
    Line(job_in(archive)).restore("clip.avi.mkv")
    assert prove(archive, "clip.avi.mkv").holds
    assert prove(archive, "clip.avi").problems == ("is not published",)
