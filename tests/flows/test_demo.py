"""The demonstration: what it renders, what it measures, and that it empties no folder but its own.

A small archive is rendered from made-up photographs; what a run would publish is written by hand, so that the right
numbers are known. The restoring itself has its own tests.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from deblur_core.errors import UsageError
from deblur_core.manifests.frames import (
    RESTORED,
    FrameOutcome,
    SegmentLabels,
    VideoFrames,
    frame_manifest,
    to_bytes,
)
from flows.demo import photographs as demo_photographs
from flows.demo.__main__ import render_archive, restore, start_clean
from flows.demo.archive import CLIPS, Clip, read_labels, truth_path
from flows.demo.gallery import HANGING
from flows.demo.judge import Judgement, judge, manifest_path, triples
from flows.demo.picture import draw, typical_frame
from tests.media import decoded_frames, encode_frames, packet_times

SIZE = (256, 144)
SHAKEN, VISITOR, STEADY = "gallery/pan.mp4", "gallery/visitor.mkv", "gallery/tripod.mp4"
SMALL = [replace(clip, frames=36, size=SIZE) for clip in CLIPS]


@pytest.fixture(scope="module")
def photographs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    names = [*HANGING, "brick"]
    return {
        name: cv2.resize(rng.integers(0, 256, (60, 80, 3), np.uint8), (400, 300), interpolation=cv2.INTER_NEAREST)
        for name in names
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, np.ndarray]) -> Path:
    directory = tmp_path_factory.mktemp("rendered")
    render_archive(directory, 1, SMALL, photographs)
    return directory


@pytest.fixture
def archive(tmp_path: Path, rendered: Path) -> Path:
    """An archive of its own for a test that publishes into it."""
    return Path(shutil.copytree(rendered, tmp_path / "demo"))


def test_the_same_seed_renders_the_same_archive_and_another_seed_another(
    tmp_path: Path, rendered: Path, photographs: dict[str, np.ndarray]
) -> None:
    render_archive(tmp_path / "same", 1, SMALL[:1], photographs)
    render_archive(tmp_path / "other", 2, SMALL[:1], photographs)
    first, same, other = (
        _pixels(folder / "archive" / SHAKEN) for folder in (rendered, tmp_path / "same", tmp_path / "other")
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert np.array_equal(read_labels(rendered)[SHAKEN], read_labels(tmp_path / "same")[SHAKEN])


@pytest.mark.parametrize("video", [SHAKEN, VISITOR])
def test_every_frame_labelled_blurred_is_further_from_its_truth_than_every_sharp_one(archive: Path, video: str) -> None:
    labels = read_labels(archive)[video]
    _publish(archive, video, labels, shutil.copyfile)
    error = np.array([np.abs(taken.astype(float) - truth).mean() for _, taken, _, truth in triples(archive, video)])
    assert error[labels].min() > error[~labels].max()


def test_a_shaken_stretch_has_four_to_ten_frames(rendered: Path) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], read_labels(rendered)[SHAKEN], [0]])))
    lengths = edges[1::2] - edges[::2]
    assert len(lengths) > 0
    assert lengths.min() >= 4
    assert lengths.max() <= 10


def test_the_video_from_the_tripod_has_no_blurred_frame(rendered: Path) -> None:
    assert not read_labels(rendered)[STEADY].any()


@pytest.mark.parametrize("clip", SMALL, ids=[clip.video for clip in SMALL])
def test_sound_lasts_as_long_as_the_picture(rendered: Path, clip: Clip) -> None:
    last = max(packet_times(rendered / "archive" / clip.video, "audio"))
    assert float(last) == pytest.approx(clip.frames / clip.rate, abs=0.05)


def test_what_is_found_missed_and_a_false_alarm_is_counted_from_the_manifest(archive: Path) -> None:
    labels = read_labels(archive)[SHAKEN]
    found = labels.copy()
    blurred, sharp = np.flatnonzero(labels), np.flatnonzero(~labels)
    found[blurred[:2]] = False
    found[sharp[0]] = True
    _publish(archive, SHAKEN, found, _truth_with_sound_of_source)
    judgement = judge(archive, SHAKEN, labels)
    assert (judgement.hits, judgement.missed, judgement.false_alarms) == (len(blurred) - 2, 2, 1)
    assert judgement.restored == len(blurred) - 1


def test_frames_published_closer_to_the_truth_are_a_gain_and_nothing_is_broken(archive: Path) -> None:
    labels = read_labels(archive)[SHAKEN]
    _publish(archive, SHAKEN, labels, _truth_with_sound_of_source)
    judgement = judge(archive, SHAKEN, labels)
    assert judgement.broken == ()
    assert judgement.mean_db is not None
    assert judgement.mean_db[1] > judgement.mean_db[0] + 3.0
    assert judgement.spoilt == 0


def test_blurred_frames_that_came_out_no_better_are_said(archive: Path) -> None:
    labels = read_labels(archive)[SHAKEN]
    _publish(archive, SHAKEN, labels, shutil.copyfile)
    assert judge(archive, SHAKEN, labels).broken == ("its blurred frames did not come out better on average",)


def test_a_sharp_video_must_be_a_byte_copy(archive: Path) -> None:
    labels = read_labels(archive)[STEADY]
    _publish(archive, STEADY, labels, shutil.copyfile)
    assert judge(archive, STEADY, labels).broken == ()
    _publish(archive, STEADY, labels, _truth_with_sound_of_source)
    assert "not a byte copy" in judge(archive, STEADY, labels).broken[0]


def test_sound_that_is_not_the_source_s_is_said(archive: Path) -> None:
    labels = read_labels(archive)[SHAKEN]
    _publish(archive, SHAKEN, labels, lambda source, target: encode_frames(target, _pixels(source), rate=25))
    judgement = judge(archive, SHAKEN, labels)
    assert judgement.broken == ("the sound is not the source's, packet by packet",)
    assert not judgement.measured


def test_a_frame_too_few_is_said(archive: Path) -> None:
    labels = read_labels(archive)[SHAKEN]
    _publish(archive, SHAKEN, labels, lambda source, target: encode_frames(target, _pixels(source)[1:], rate=25))
    assert judge(archive, SHAKEN, labels).broken[0] == "36 frames went in, 35 came out"


def test_a_video_that_was_not_published_is_named(archive: Path) -> None:
    judgement = judge(archive, SHAKEN, read_labels(archive)[SHAKEN])
    assert str(archive / "restored" / SHAKEN) in judgement.broken[0]
    assert not judgement.measured


def test_the_picture_shows_a_frame_whose_gain_is_the_median(archive: Path) -> None:
    labels = np.array([False, True, True, True, False])
    before, after = np.full(5, 20.0), np.array([40.0, 29.0, 21.0, 24.0, 40.0])
    judgement = Judgement(SHAKEN, labels, labels, 3, 0, before, after, False, ())
    assert typical_frame(judgement) == 3


def test_the_picture_has_a_row_for_each_video_and_panels_where_frames_were_blurred(archive: Path) -> None:
    labels = read_labels(archive)
    _publish(archive, SHAKEN, labels[SHAKEN], _truth_with_sound_of_source)
    _publish(archive, STEADY, labels[STEADY], shutil.copyfile)
    both = [judge(archive, video, labels[video]) for video in (SHAKEN, STEADY)]
    shaken, steady, whole = draw(archive, both[:1]), draw(archive, both[1:]), draw(archive, both)
    assert whole.shape[0] == shaken.shape[0] + steady.shape[0]
    assert shaken.shape[0] > 4 * steady.shape[0]


def test_a_folder_that_the_demo_did_not_make_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(UsageError, match="was not made by the demo"):
        start_clean(tmp_path)
    assert (tmp_path / "archive" / "holiday.mp4").read_bytes() == b"mine"


def test_the_demo_s_own_folder_is_emptied(tmp_path: Path) -> None:
    start_clean(tmp_path / "demo")
    old = tmp_path / "demo" / "restored" / "old.mp4"
    old.parent.mkdir()
    old.write_bytes(b"old")
    start_clean(tmp_path / "demo")
    assert not old.exists()


def test_missing_photographs_are_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_photographs, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"scikit-image.*make demo"):
        demo_photographs.load_photographs()


@pytest.mark.skipif(find_spec("skimage") is None, reason="the demo's photographs are not installed")
def test_scikit_image_has_every_photograph() -> None:
    shown = demo_photographs.load_photographs()
    assert set(HANGING) | {"brick"} <= set(shown)
    assert min(picture.shape[0] for picture in shown.values()) >= 300


def test_every_photograph_names_its_author_and_licence_in_one_line() -> None:
    line = demo_photographs.credits_line()
    assert "\n" not in line
    for photograph in demo_photographs.PHOTOGRAPHS:
        assert f"{photograph.author} ({photograph.licence})" in line


def test_the_demo_runs_the_real_command_and_passes_its_exit_code_on(tmp_path: Path) -> None:
    assert restore(tmp_path / "nothing here", tmp_path / "restored") == 2
    assert not (tmp_path / "restored").exists()


def _pixels(path: Path) -> np.ndarray:
    return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded_frames(path)])


def _publish(directory: Path, video: str, found: np.ndarray, write: Callable[[Path, Path], object]) -> None:
    """Puts what a run would publish: `write(source, target)` makes the video, every found frame counts as restored."""
    target, manifest = directory / "restored" / video, manifest_path(directory, video)
    for path in (target, manifest):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(directory / "archive" / video, target)
    count = len(found)
    facts = VideoFrames(
        video, "etag", np.arange(count), np.arange(count) / 25, np.zeros(count, bool), np.zeros(count, int)
    )
    labels = SegmentLabels(0, found.astype(np.float32), np.ones(count, bool))
    outcomes = [FrameOutcome(int(number), RESTORED, 1.0, 2.0) for number in np.flatnonzero(found)]
    manifest.write_bytes(to_bytes(frame_manifest(facts, labels, 0.5, outcomes, "default"), {}))


def _truth_with_sound_of_source(source: Path, target: Path) -> None:
    """A perfect restoration: the truth's frames with the source's own sound packets."""
    directory = source.parents[2]
    picture = target.with_suffix(".mkv")
    encode_frames(picture, _pixels(truth_path(directory, SHAKEN if SHAKEN in str(source) else STEADY)), rate=25)
    with av.open(str(picture)) as frames, av.open(str(source)) as sound, av.open(str(target), "w") as out:
        tracks = [(frames, frames.streams.video[0]), (sound, sound.streams.audio[0])]
        streams = [out.add_stream_from_template(track) for _, track in tracks]
        for (container, track), stream in zip(tracks, streams, strict=True):
            for packet in container.demux(track):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    picture.unlink()
