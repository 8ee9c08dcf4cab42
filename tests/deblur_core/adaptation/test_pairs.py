"""Labelled pairs from a video's own sharp frames."""

import numpy as np
import pytest
import torch

from deblur_core.adaptation.footage import Footage
from deblur_core.adaptation.pairs import MARGIN, SharpClip, cut_batch, draw_pairs, middle_batch, sharp_clips
from deblur_core.errors import UsageError
from deblur_core.models.network_restorer import NetworkRestorer
from tests.deblur_core.adaptation.footage import SIZE, TinyNetwork, partly_blurred
from tests.media import moving_texture


def numbered(count: int, blurred: list[int]) -> Footage:
    """Frames whose value is their number."""
    frames = [np.full((8, 8, 3), number, np.uint8) for number in range(count)]
    return Footage("numbered", frames, np.isin(np.arange(count), blurred))


def restorer_of(network: TinyNetwork) -> NetworkRestorer:
    return NetworkRestorer("tiny", network, "", torch.device("cpu"), torch.float32)


def numbers(clip: SharpClip) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in clip.frames]


def test_clips_to_learn_from_and_to_judge_on_share_no_frame_and_no_blurred_one() -> None:
    learn, judge = sharp_clips([numbered(20, [4, 5]), numbered(16, [])])
    assert [numbers(clip) for clip in learn] == [[0, 1, 2, 3, *range(6, 16)], [*range(12)]]
    assert [numbers(clip) for clip in judge] == [[16, 17, 18, 19], [12, 13, 14, 15]]
    assert [clip.unbroken for clip in (*learn, *judge)] == [False, True, True, True]


def test_of_clips_too_short_to_share_one_is_for_judging() -> None:
    learn, judge = sharp_clips([numbered(5, []), numbered(4, [])])
    assert [numbers(clip) for clip in learn] == [[0, 1, 2, 3, 4]]
    assert [numbers(clip) for clip in judge] == [[0, 1, 2, 3]]


def test_too_few_sharp_frames_are_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"only 4 sharp frames.*6 or more sharp frames in a shot"):
        sharp_clips([numbered(9, [0, 1, 2, 3, 4])])


@pytest.mark.parametrize(
    ("frames", "references", "outputs"), [(1, 0, 1), (1, 2, 1), (5, 0, 1), (5, 0, 5), (1, 0, 7), (3, 2, 3)]
)
def test_a_pair_has_what_the_network_takes_and_gives(frames: int, references: int, outputs: int) -> None:
    network = TinyNetwork(frames, references, outputs)
    learn, _ = sharp_clips([partly_blurred()])
    pairs = draw_pairs(learn, 3, restorer_of(network), 64, np.random.default_rng(0))
    assert len(pairs) == 3
    for pair in pairs:
        assert pair.shape == (network.input_channels + 3 * outputs, 64 + MARGIN, 64 + MARGIN)
        assert pair.dtype == np.uint8
        target = pair[3 * (frames // 2) :][:3].astype(np.float32)
        truth = pair[network.input_channels + 3 * (outputs // 2) :][:3].astype(np.float32)
        # The same place at the same time: nearer to each other than to themselves a little aside.
        assert np.abs(target - truth).mean() < np.abs(target[..., 12:] - truth[..., :-12]).mean()


def test_what_is_seen_is_blurred_and_what_is_true_is_not() -> None:
    learn, _ = sharp_clips([partly_blurred(frames=16, blurred=[0], size=(160, 128))])
    pairs = np.stack(draw_pairs(learn, 12, restorer_of(TinyNetwork()), 96, np.random.default_rng(1))).astype(np.float32)
    slope = np.abs(np.diff(pairs, axis=3)).mean((1, 2, 3))
    seen, true = (np.abs(np.diff(pairs[:, at : at + 3], axis=3)).mean((1, 2, 3)) for at in (0, 3))
    assert slope.shape == (12,)
    assert np.median(seen / true) < 0.8


def test_larger_pictures_are_blurred_more() -> None:
    def loss(whole_side: int) -> float:
        clip = SharpClip(list(moving_texture(12, (160, 128))), True, whole_side)
        pairs = np.stack(draw_pairs([clip], 16, restorer_of(TinyNetwork()), 96, np.random.default_rng(2))).astype(
            np.float32
        )
        return float(np.median(np.abs(pairs[:, :3] - pairs[:, 3:]).mean((1, 2, 3))))

    assert loss(1080) > 1.15 * loss(128)


def test_references_are_sharp_frames_aligned_to_the_target() -> None:
    learn, _ = sharp_clips([partly_blurred(frames=18, blurred=[0], size=(160, 128))])
    pairs = np.stack(draw_pairs(learn, 8, restorer_of(TinyNetwork(references=2)), 96, np.random.default_rng(3))).astype(
        np.float32
    )
    inner = pairs[:, :, 32:-32, 32:-32]
    reference, valid, truth = inner[:, 3:6], inner[:, 6], inner[:, 11:]
    assert set(np.unique(valid)) <= {0.0, 255.0}
    known = valid.mean((1, 2)) == 255
    assert known.sum() >= 4
    gap = np.abs(reference - truth).mean((1, 2, 3))[known]
    # Nearer to the truth than that is to itself two pixels aside: it lay further off before it was aligned.
    assert np.median(gap) < np.median(np.abs(truth[..., 2:] - truth[..., :-2]).mean((1, 2, 3))[known])


def test_a_batch_is_cut_and_turned_anew_and_the_middle_is_always_the_same() -> None:
    pair = np.arange(4 * 40 * 40, dtype=np.uint32).reshape(4, 40, 40).astype(np.uint8)
    rng = np.random.default_rng(4)
    first, second = cut_batch([pair], 3, 24, rng), cut_batch([pair], 3, 24, rng)
    assert first.shape == (3, 4, 24, 24)
    assert not torch.equal(first, second)
    assert torch.equal(middle_batch([pair], 24)[0], torch.from_numpy(pair[:, 8:32, 8:32].copy()))


def test_the_same_seed_draws_the_same_pairs() -> None:
    learn, _ = sharp_clips([partly_blurred(size=SIZE)])
    one, other = (draw_pairs(learn, 4, restorer_of(TinyNetwork()), 64, np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
