"""Pairs of both models: labels that are true, one seed one result, and no more than a stretch in memory."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from deblur_core.synthesis import pairs as pairs_module
from deblur_core.synthesis.pairs import Model, Pair, PairSettings, make_pairs
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings
from deblur_core.synthesis.rebvids import RebvidsSettings
from deblur_core.synthesis.recording import RecordingSettings

CLEAN = PairSettings(
    RebvidsSettings(share_highlights=0.0),
    PartlyBlurredSettings(share_with_object=0.0, share_highlights=0.0),
    RecordingSettings(noise=0.0, codec="none"),
)
COUNT = 60


def panning_texture(count: int = COUNT) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(2)
    wide = cv2.GaussianBlur(rng.random((72, 97 + 2 * COUNT, 3)).astype(np.float32), (0, 0), 1.0) * 255.0
    for number in range(count):
        yield wide[:, 2 * number : 2 * number + 97].astype(np.uint8)


def made(model: Model, settings: PairSettings, seed: int = 1) -> list[Pair]:
    return list(make_pairs(model, panning_texture(), COUNT, np.random.default_rng(seed), settings))


@pytest.mark.parametrize("model", ["rebvids", "shake"])
def test_labels_match_where_frames_differ_from_their_truth(model: Model) -> None:
    pairs = made(model, CLEAN)
    assert {pair.is_blurred for pair in pairs} == {True, False}
    assert all(np.array_equal(pair.blurred, pair.sharp) != pair.is_blurred for pair in pairs)
    assert all((pair.strength_pixels > 0.0) == pair.is_blurred for pair in pairs)


@pytest.mark.parametrize("model", ["rebvids", "shake"])
def test_truths_are_frames_of_the_clip(model: Model) -> None:
    frames = list(panning_texture())
    assert all(np.array_equal(pair.sharp, frames[pair.source_frame]) for pair in made(model, CLEAN))


@pytest.mark.parametrize("model", ["rebvids", "shake"])
@pytest.mark.parametrize("codec", ["h264", "jpeg"])
def test_the_same_seed_gives_the_same_pairs_and_another_seed_others(model: Model, codec: str) -> None:
    settings = replace(CLEAN, recording=RecordingSettings(codec=codec))  # type: ignore[arg-type]
    first, again, other = (made(model, settings, seed) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.blurred, b.blurred) and np.array_equal(a.sharp, b.sharp)
        assert (a.kind, a.strength_pixels, a.source_frame) == (b.kind, b.strength_pixels, b.source_frame)
    assert any(not np.array_equal(a.blurred, b.blurred) for a, b in zip(first, other, strict=False))


@pytest.mark.parametrize("model", ["rebvids", "shake"])
def test_recording_touches_sharp_frames_too_but_not_the_truth(model: Model) -> None:
    pairs = made(model, replace(CLEAN, recording=RecordingSettings(codec="jpeg", jpeg_quality=(70, 70))))
    frames = list(panning_texture())
    assert all(np.array_equal(pair.sharp, frames[pair.source_frame]) for pair in pairs)
    assert all(not np.array_equal(pair.blurred, pair.sharp) for pair in pairs)


def test_a_long_clip_is_made_in_stretches_and_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "_STRETCH_BYTES", 20 * 72 * 97 * 3)
    read = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in panning_texture():
            read += 1
            yield frame

    pairs = make_pairs("shake", counted(), COUNT, np.random.default_rng(0), CLEAN)
    next(pairs)
    assert read <= 21
    rest = list(pairs)
    assert len(rest) == COUNT - 1
    assert [pair.source_frame for pair in rest] == list(range(1, COUNT))
    assert sum(pair.is_blurred for pair in rest) <= 0.7 * COUNT


def test_a_clip_that_ends_too_soon_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at frame 30 of 60"):
        list(make_pairs("shake", panning_texture(30), COUNT, np.random.default_rng(0), CLEAN))
