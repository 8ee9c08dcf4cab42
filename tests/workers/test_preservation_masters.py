"""`--codec ffv1` through the program's own stages: a master, and the checksums beside it."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from av.video.frame import VideoFrame

from deblur_core.provenance.proof import Proof, repeat_proof
from deblur_core.provenance.sidecar import from_bytes
from deblur_core.storage.folder import FolderObjectStore
from deblur_core.video import framemd5, picture_check
from deblur_core.video.preservation import master_name
from tests.fidelity.quick_line import Outcome, restored
from tests.media import ColourTags, decoded_frames, frame_hashes, make_clip, packet_hashes
from tests.media.odd_sound import with_sound

NOTHING_IS_BLURRED = 2.0


def checksums(path: Path) -> list[str]:
    return [line.split(", ")[-1].strip() for line in path.read_text().splitlines() if not line.startswith("#")]


def beside(published: Path) -> tuple[list[str], list[str]]:
    """Checksums of the source and of the published video."""
    source, result = (published.with_name(published.name + kind) for kind in (".source.framemd5", ".framemd5"))
    return checksums(source), checksums(result)


def master_of(folder: Path, source: Path, **options: object) -> Outcome:
    outcome = restored(source, folder / "out", codec="ffv1", **options)
    assert outcome.error is None
    return outcome


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "master"),
    [
        ("a.mp4", "libx264", "yuv420p", "a.mp4.mkv"),
        ("a.mkv", "libx265", "yuv420p10le", "a.mkv"),
        ("a.avi", "rawvideo", "bgr24", "a.avi.mkv"),
        ("a.mov", "rawvideo", "uyvy422", "a.mov.mkv"),
    ],
)
def test_only_restored_frames_differ_from_the_source(
    archive: Path, name: str, codec: str, pixel_format: str, master: str
) -> None:
    source = make_clip(archive / "in" / name, frames=12, codec=codec, pixel_format=pixel_format, gop=6)
    outcome = master_of(archive, source)
    assert outcome.path == archive / "out" / master
    before, after = beside(outcome.path)
    assert len(before) == len(after) == 12
    assert {number for number in range(12) if before[number] != after[number]} == set(outcome.restored) != set()
    # The codec stores what was decoded: the same checksums, made another way.
    assert frame_hashes(outcome.path) == after or pixel_format == "bgr24"
    assert packet_hashes(outcome.path, "audio") == packet_hashes(source, "audio")


def test_the_source_of_a_master_is_decoded_once_to_check_it(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checksums come from the decoding that the pictures are compared by."""
    source = make_clip(archive / "in" / "a.mp4", frames=12, size=(64, 48), audio=False)
    decoded = Counter[int]()
    decode = picture_check.decode_frames

    def counting(*given: Any) -> Iterator[tuple[int, VideoFrame]]:
        for number, frame in decode(*given):
            decoded[number] += 1
            yield number, frame

    for module in (picture_check, framemd5):
        monkeypatch.setattr(module, "decode_frames", counting)
    outcome = master_of(archive, source)
    assert outcome.path is not None
    assert decoded == Counter(range(12))
    assert beside(outcome.path)[0] == frame_hashes(source)


def proof(archive: Path, video: str, **options: Any) -> Proof:
    source, destination = FolderObjectStore(archive / "in"), FolderObjectStore(archive / "out")
    return repeat_proof(source, source.head(video), destination, [video, master_name(video)], **options)


@pytest.mark.parametrize("threshold", [0.5, NOTHING_IS_BLURRED])
def test_the_proof_reads_the_checksums_too(archive: Path, threshold: float) -> None:
    small = make_clip(archive / "in" / "a.mp4", frames=6, size=(64, 48), audio=False)
    outcome = master_of(archive, small, threshold=threshold)
    assert outcome.path is not None
    assert proof(archive, "a.mp4").problems == ()
    for kind in (".source.framemd5", ".framemd5"):
        text = outcome.path.with_name(outcome.path.name + kind)
        lines = text.read_text().splitlines(keepends=True)
        spoiled = [*lines[:-1], lines[-1].replace(lines[-1][-2], "0" if lines[-1][-2] != "0" else "1")]
        for changed, wrong in ((spoiled, f"line {len(lines)}"), (lines[:-1], "'nothing'"), (2 * lines, "more lines")):
            text.write_text("".join(changed))
            (problem,) = proof(archive, "a.mp4").problems
            assert problem.startswith(text.name)
            assert wrong in problem
        assert proof(archive, "a.mp4", hashes_only=True).problems == ()
        text.unlink()
        assert f"no checksums {text.name}" in proof(archive, "a.mp4").problems[0]
        text.write_text("".join(lines))


def test_size_layout_and_colour_are_the_sources(archive: Path) -> None:
    colour = ColourTags(9, 1, 9, 16)
    source = make_clip(
        archive / "in" / "a.mp4", frames=8, size=(98, 66), codec="libx265", pixel_format="yuv422p10le", colour=colour
    )
    outcome = master_of(archive, source)
    assert outcome.path is not None
    frames = [decoded_frames(path)[0] for path in (source, outcome.path)]
    tags = ("width", "height", "colorspace", "color_range", "color_primaries", "color_trc")
    described = [[each.format.name, *(getattr(each, tag) for tag in tags)] for each in frames]
    assert described[0] == described[1]


def test_a_video_without_blurred_frames_is_copied_with_its_checksums(archive: Path) -> None:
    source = make_clip(archive / "in" / "a.mp4", frames=8)
    outcome = master_of(archive, source, threshold=NOTHING_IS_BLURRED)
    assert outcome.path == archive / "out" / "a.mp4"
    assert outcome.path.read_bytes() == source.read_bytes()
    before, after = beside(outcome.path)
    assert before == after == frame_hashes(source)


def test_checksums_leave_with_their_master(archive: Path) -> None:
    source = make_clip(archive / "in" / "a.mp4", frames=8)
    master_of(archive, source)
    later = restored(source, archive / "out")
    assert later.path == archive / "out" / "a.mp4"
    left = {path.name for path in (archive / "out").iterdir() if path.is_file()}
    assert not {name for name in left if "mkv" in name or "framemd5" in name}


def test_mediaconch_accepts_a_master(archive: Path) -> None:
    """The archives' own conformance checker of Matroska and FFV1, where it is installed."""
    checker = shutil.which("mediaconch")
    if checker is None:
        pytest.skip("mediaconch is not installed")
    outcome = master_of(archive, make_clip(archive / "in" / "a.mp4", frames=12))
    report = subprocess.run([checker, "-fs", str(outcome.path)], capture_output=True, text=True, check=True).stdout
    assert report.startswith("pass!"), report


def test_sound_that_matroska_does_not_hold_becomes_flac_and_the_record_says_so(archive: Path) -> None:
    outcome = master_of(archive, with_sound(archive / "in" / "a.mov", "pcm_alaw"))
    assert outcome.path is not None
    record = from_bytes(outcome.path.with_name("a.mov.mkv.restoration.json").read_bytes(), "a")
    (sound,) = [each for each in record.converted if each.what == "audio stream 1"]
    assert (sound.before, sound.after) == ("pcm_alaw", "flac")
    assert sound.how.endswith("all 48000 samples are the same")
    assert record.carried.streams == ()
    assert proof(archive, "a.mov").problems == ()


def test_what_matroska_cannot_hold_is_known_before_anything_is_restored(archive: Path) -> None:
    """From the plan on, and of no matter where nothing is blurred."""
    source = make_clip(archive / "in" / "a.mp4", frames=8, size=(64, 48), subtitles=True)
    outcome = restored(source, archive / "out", codec="ffv1")
    assert "subtitle stream 2 (mov_text) cannot be put into a matroska file" in str(outcome.error)
    assert not list((archive / "out").rglob("frames-*"))
    assert restored(source, archive / "out", codec="ffv1", threshold=NOTHING_IS_BLURRED).path is not None
