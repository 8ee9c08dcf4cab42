"""Footage out of whole videos: stretches with both kinds of frames, bounded in size, unreadable videos named."""

from pathlib import Path

import numpy as np
import pytest

from deblur_core.adaptation import gather as module
from deblur_core.adaptation.gather import best_stretch, gather
from deblur_core.errors import StorageError
from deblur_core.models.registry import load_selector
from deblur_core.storage import open_store
from tests.media import encode_frames, moving_texture
from tests.workers.shaken_clip import shaken_clip


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_stretch_has_blurred_and_sharp_frames_in_order(tmp_path: Path) -> None:
    shaken_clip(tmp_path / "clip.mp4", frames=20, shaken=((6, 12),))
    found = gather(open_store(tmp_path), ["clip.mp4"], load_selector(), 0.5, rng())
    assert [len(each.frames) for each in found.footage] == [20]
    (footage,) = found.footage
    assert found.videos == ("clip.mp4",)
    assert found.skipped == ()
    assert footage.frames[0].shape == (160, 240, 3)
    assert footage.whole_side == 160
    assert footage.blurred[6:12].all()
    assert footage.blurred.sum() <= 10


def test_only_part_of_a_long_video_of_large_frames_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRETCH_FRAMES", 16)
    monkeypatch.setattr(module, "MOST_SIDE", 100)
    shaken_clip(tmp_path / "clip.mp4", frames=48, shaken=((30, 38),))
    (footage,) = gather(open_store(tmp_path), ["clip.mp4"], load_selector(), 0.5, rng()).footage
    assert len(footage.frames) == 16
    assert footage.frames[0].shape == (100, 100, 3)
    assert footage.whole_side == 160
    assert 6 <= footage.blurred.sum() <= 10


def test_shots_are_kept_apart(tmp_path: Path) -> None:
    pictures = [*moving_texture(12, (96, 64), seed=1), *(255 - picture for picture in moving_texture(12, (96, 64), 2))]
    encode_frames(tmp_path / "cut.mp4", pictures)
    found = gather(open_store(tmp_path), ["cut.mp4"], load_selector(), 0.5, rng())
    assert sorted(len(each.frames) for each in found.footage) == [12, 12]


def test_a_video_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    shaken_clip(tmp_path / "good.mp4", frames=24, shaken=((8, 14),))
    (tmp_path / "text.mp4").write_text("a text under a video's name\n" * 100)
    found = gather(open_store(tmp_path), ["good.mp4", "text.mp4"], load_selector(), 0.5, rng())
    assert found.videos == ("good.mp4",)
    ((video, why),) = found.skipped
    assert video == "text.mp4"
    assert "not a media file" in why


def test_a_store_that_fails_is_not_a_bad_video(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        gather(open_store(tmp_path), ["gone.mp4"], load_selector(), 0.5, rng())


def test_the_best_stretch_has_most_of_the_rarer_kind() -> None:
    blurred = np.zeros(30, bool)
    blurred[20:25] = True
    assert best_stretch(blurred, 10) in range(15, 21)
    assert blurred[best_stretch(blurred, 10) :][:10].sum() == 5
    assert best_stretch(blurred, 30) == 0
    assert best_stretch(np.zeros(50, bool), 10) == 0
