"""The REBVIDS model: intervals, averages, references and labels."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest

from deblur_core.synthesis import exposure
from deblur_core.synthesis.rebvids import (
    AVERAGED,
    SHARP,
    Exposed,
    Interval,
    RebvidsSettings,
    expose_intervals,
    plan_intervals,
)

PLAIN = RebvidsSettings(share_highlights=0.0, blurred_share=(1.0, 1.0))


def drifting_texture(frames: int) -> list[np.ndarray]:
    """A texture that moves by a pixel a frame, too slow to be interpolated, and comes in again on the other side."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.random((96, 160, 3)).astype(np.float32), (0, 0), 1.0) * 255.0
    return [np.roll(texture, number, axis=1).astype(np.uint8) for number in range(frames)]


def exposed(frames: Sequence[np.ndarray], plan: Sequence[Interval], settings: RebvidsSettings) -> list[Exposed]:
    return list(expose_intervals(frames, plan, np.random.default_rng(0), settings))


@pytest.mark.parametrize("seed", range(20))
def test_intervals_of_7_to_12_frames_cover_the_clip_and_at_most_70_percent_are_blurred(seed: int) -> None:
    count = 150 + 7 * seed
    plan = plan_intervals(count, np.random.default_rng(seed), RebvidsSettings())
    lengths = [each.last - each.first + (not each.halved) for each in plan]
    assert all(7 <= length <= 12 for length in lengths)
    assert all(each.halved == (length % 2 == 0) for each, length in zip(plan, lengths, strict=True))
    assert plan[0].first == 0 and plan[-1].last < count <= plan[-1].last + 8
    assert all(after.first == before.last + (not before.halved) for before, after in pairwise(plan))
    assert 0 < sum(each.kind != SHARP for each in plan) <= 0.7 * len(plan)


def test_a_clip_shorter_than_an_interval_has_none() -> None:
    assert plan_intervals(6, np.random.default_rng(0), RebvidsSettings()) == ()
    assert len(plan_intervals(8, np.random.default_rng(0), RebvidsSettings())) == 1


def test_an_averaged_interval_is_the_direct_mean_in_linear_light() -> None:
    frames = drifting_texture(9)
    (made,) = exposed(frames, [Interval(1, 7, False, AVERAGED)], PLAIN)
    mean = np.mean([exposure.to_linear(frame / np.float32(255)) for frame in frames[1:8]], axis=0)
    assert made.kind == AVERAGED
    assert np.allclose(made.linear, mean, atol=1e-5)


def test_the_paper_averages_in_signal_space() -> None:
    frames = drifting_texture(9)
    settings = RebvidsSettings(averaging="signal", share_highlights=1.0)
    (made,) = exposed(frames, [Interval(1, 7, False, AVERAGED)], settings)
    mean = np.mean([frame / np.float32(255) for frame in frames[1:8]], axis=0)
    assert np.allclose(exposure.to_display(made.linear), mean, atol=1e-4)


def test_the_outermost_frames_of_an_even_interval_count_half() -> None:
    frames = drifting_texture(9)
    (made,) = exposed(frames, [Interval(0, 8, True, AVERAGED)], PLAIN)
    linear = np.stack([exposure.to_linear(frame / np.float32(255)) for frame in frames])
    mean = (linear[1:8].sum(axis=0) + 0.5 * (linear[0] + linear[8])) / 8.0
    assert made.source_frame == 4
    assert np.allclose(made.linear, mean, atol=1e-5)


@pytest.mark.parametrize("interval", [Interval(0, 8, True, AVERAGED), Interval(0, 8, False, AVERAGED)])
def test_blur_spreads_evenly_to_both_sides_of_the_reference(interval: Interval) -> None:
    frames = []
    for number in range(9):
        frame = np.full((64, 160, 3), 20, np.uint8)
        frame[20:44, 40 + 4 * number : 60 + 4 * number] = 220
        frames.append(frame)
    (made,) = exposed(frames, [interval], PLAIN)
    light = made.linear[..., 0] - made.linear.min()
    reference = exposure.to_linear(made.sharp[..., 0] / np.float32(255))
    reference -= reference.min()
    columns = np.arange(160)
    centres = [float((each.sum(axis=0) * columns).sum() / each.sum()) for each in (light, reference)]
    assert centres[0] == pytest.approx(centres[1], abs=0.5)


def test_references_are_frames_of_the_clip_and_skipped_intervals_are_they() -> None:
    frames = drifting_texture(80)
    settings = RebvidsSettings(blurred_share=(0.5, 0.5), share_highlights=0.0)
    plan = plan_intervals(len(frames), np.random.default_rng(1), settings)
    made = exposed(frames, plan, settings)
    assert [each.kind for each in made] == [each.kind for each in plan]
    assert {each.kind for each in made} == {SHARP, AVERAGED}
    for each, interval in zip(made, plan, strict=True):
        assert each.source_frame == interval.centre
        assert np.array_equal(each.sharp, frames[interval.centre])
        assert (each.strength_pixels > 0.0) == (each.kind != SHARP)
        display = exposure.quantise(exposure.to_display(each.linear))
        assert np.array_equal(display, each.sharp) == (each.kind == SHARP)


def test_the_strength_is_how_far_things_move_during_the_exposure() -> None:
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.random((128, 300, 3)).astype(np.float32), (0, 0), 1.5) * 255.0
    frames = [wide[:, 3 * number : 3 * number + 200].astype(np.uint8) for number in range(9)]
    (made,) = exposed(frames, [Interval(0, 8, False, AVERAGED)], PLAIN)
    assert made.strength_pixels == pytest.approx(24.0, rel=0.15)


def test_what_stands_still_is_not_called_blurred() -> None:
    still = drifting_texture(1) * 20
    assert {each.kind for each in exposed(still, plan_intervals(20, np.random.default_rng(0), PLAIN), PLAIN)} == {SHARP}


def test_an_interval_that_a_cut_runs_through_stays_sharp() -> None:
    frames = drifting_texture(4) + [np.full((96, 160, 3), 250, np.uint8)] * 5
    (made,) = exposed(frames, [Interval(0, 8, False, AVERAGED)], PLAIN)
    assert made.kind == SHARP and np.array_equal(made.sharp, frames[4])


def test_clipped_lamps_smear_brighter_when_they_get_their_light_back() -> None:
    frames = []
    for number in range(7):
        frame = np.full((64, 128, 3), 30, np.uint8)
        frame[28:36, 40 + 4 * number : 48 + 4 * number] = 255
        frames.append(frame)
    plan = [Interval(0, 6, False, AVERAGED)]
    (plain,) = exposed(frames, plan, PLAIN)
    (bright,) = exposed(frames, plan, RebvidsSettings(share_highlights=1.0, highlight_gain=(3.0, 3.0)))
    assert bright.linear[32, 60].mean() > 2.0 * plain.linear[32, 60].mean()
    assert np.allclose(bright.linear[5, 5], plain.linear[5, 5], atol=1e-6)


def test_runs_out_of_focus_are_labelled_apart_from_motion() -> None:
    settings = RebvidsSettings(blurred_share=(0.7, 0.7), share_defocused=0.5)
    frames = drifting_texture(200)
    plan = plan_intervals(len(frames), np.random.default_rng(5), settings)
    made = exposed(frames, plan, settings)
    assert {each.kind for each in made} == {SHARP, AVERAGED, "defocus"}
    assert min(each.strength_pixels for each in made if each.kind == "defocus") >= settings.disc_pixels[0]


def test_a_clip_that_ends_too_soon_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before frame 6"):
        exposed(drifting_texture(5), [Interval(0, 6, False)], PLAIN)
