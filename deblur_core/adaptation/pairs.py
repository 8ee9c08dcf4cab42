"""Labelled pairs without a training corpus: the videos' own sharp frames, blurred on purpose, are their own truth.

A few of them are made into a partly blurred clip (deblur_core/synthesis), in which the network sees a blurred frame as
it does in use: among its neighbours, with its nearest sharp frames, in each of its passes. Knows what a network takes
and gives; no loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deblur_core.adaptation.footage import Footage
from deblur_core.errors import UsageError
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import NetworkRestorer, stack_planes
from deblur_core.models.passes import stacks_of_passes
from deblur_core.models.restorer import FrameWindow
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.synthesis.window_samples import draw_window

MARGIN = 32
"""Cut around a patch so that references and objects can come in from outside, pixels."""
LEAST_FRAMES = 3
"""Sharp frames that a clip needs: one to blur, one on each side as its references."""
_CLIP_FRAMES = 16
_TARGETS_OF_CLIP = 4
_SHARE_SHARP = 0.05  # of the targets: what is sharp must stay so


@dataclass(frozen=True)
class SharpClip:
    """Sharp frames of one shot in order, uint8 RGB [H, W, 3].

    unbroken: no blurred frame was left out between them; whole_side: shorter side of the video's frames, pixels.
    """

    frames: Sequence[np.ndarray]
    unbroken: bool
    whole_side: int


def sharp_clips(footage: Sequence[Footage], held_out: float = 0.25) -> tuple[list[SharpClip], list[SharpClip]]:
    """Clips to learn from and clips to judge on, which share no frame.

    The last part of each clip, `held_out` of its frames, is for judging. Raises UsageError when too few are sharp.
    """
    learn: list[SharpClip] = []
    judge: list[SharpClip] = []
    for each in footage:
        numbers = np.flatnonzero(~each.blurred)
        cut = len(numbers) - max(round(held_out * len(numbers)), LEAST_FRAMES)
        if cut < LEAST_FRAMES:
            cut = len(numbers)
        for part, clips in ((numbers[:cut], learn), (numbers[cut:], judge)):
            if len(part) >= LEAST_FRAMES:
                unbroken = bool(part[-1] - part[0] == len(part) - 1)
                whole_side = each.whole_side or each.shorter_side
                clips.append(SharpClip([each.frames[number] for number in part], unbroken, whole_side))
    if not judge and len(learn) > 1:
        judge.append(learn.pop())
    if not judge:
        sharp = sum(int((~each.blurred).sum()) for each in footage)
        raise UsageError(
            f"only {sharp} sharp frames were found, too few in one shot to make pairs with known truth from; "
            f"add videos that have {2 * LEAST_FRAMES} or more sharp frames in a shot"
        )
    return learn, judge


def gives_frames(network: RestorationNetwork) -> bool:
    """Whether it gives frames of the video, one or its whole window, and not the moments of one exposure."""
    return network.outputs in (1, network.frames)


def shown_by_a_pass(network: RestorationNetwork, target: int, count: int) -> list[int]:
    """The numbers of the frames that one pass over `target` gives, of `count`; where they end, the last stands in."""
    reach = network.frames // 2 if network.outputs > 1 else 0
    return [int(number) for number in np.clip(range(target - reach, target + reach + 1), 0, count - 1)]


def draw_pairs(
    clips: Sequence[SharpClip], count: int, restorer: NetworkRestorer, patch: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """`count` pairs for the network of `restorer`, whose restored frames guide passes after the first.

    Each is uint8 [input channels + 3 × outputs, S, S] with S = patch + MARGIN: input planes, then the truths. Validity
    planes hold 0 or 255. Long clips are drawn from more often.
    """
    weights = np.array([len(clip.frames) for clip in clips], np.float64)
    weights /= weights.sum()
    # What gives the moments of an exposure needs them as truths, and no clip has moments.
    draw = _draw_frames if gives_frames(restorer.network) else _draw_moments
    pairs: list[np.ndarray] = []
    while len(pairs) < count:
        pairs += draw(clips[int(rng.choice(len(clips), p=weights))], restorer, patch, rng)
    return pairs[:count]


def _draw_frames(clip: SharpClip, restorer: NetworkRestorer, patch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Some frames of a partly blurred clip, each with the truth of itself or of its whole window."""
    size = patch + 2 * MARGIN
    start = int(rng.integers(0, max(len(clip.frames) - _CLIP_FRAMES, 0) + 1))
    sharp = clip.frames[start : start + _CLIP_FRAMES]
    whole = Footage("", sharp, np.zeros(len(sharp), bool))
    place = whole.random_place(size, rng)
    made = blur_clip([whole.cut(number, place, size) for number in range(len(sharp))], rng, _settings(clip, size))
    footage, truth = Footage("", made.frames, made.labels), Footage("", made.truth, made.labels)
    network = restorer.network
    pairs = []
    for _ in range(_TARGETS_OF_CLIP):
        target = int(rng.choice(np.flatnonzero(made.labels == (rng.random() > _SHARE_SHARP))))
        window = footage.window(target, network.needs, (0, 0), size)
        true = [truth.frames[number] for number in shown_by_a_pass(network, target, len(sharp))]
        pairs += [cut_pair(seen, true, patch) for seen in stacks_of_passes(window, restorer, rng)]
    return pairs


def _settings(clip: SharpClip, size: int) -> PartlyBlurredSettings:
    """Runs short enough for a short clip, and blur as it would be in the whole frame, of which this is a part."""
    usual = PartlyBlurredSettings()
    # Blur grows with the picture. What has learnt the blur of larger frames sharpens smaller ones too much.
    least = usual.blur_pixels[0] * max(1.0, clip.whole_side / 720.0) / max(1.0, size / 720.0)
    shake, roll, averaged, thing = usual.kind_weights
    return PartlyBlurredSettings(
        run_frames=(1, 6),
        blurred_share=(0.34, 0.6),
        blur_pixels=(least, max(usual.blur_pixels[1] * clip.whole_side / size, least)),
        # Averaging over a gap would smear by a motion that no exposure sees.
        kind_weights=(shake, roll, averaged if clip.unbroken else 0.0, thing),
    )


def _draw_moments(clip: SharpClip, restorer: NetworkRestorer, patch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One exposure with its moments."""
    network = restorer.network
    most = float(np.clip(PartlyBlurredSettings().blur_pixels[1] * clip.whole_side / 540.0, 6.0, 40.0))
    settings = SampleSettings(patch, MARGIN, most, window=network.frames, truths=network.outputs)
    sample = draw_window(list(clip.frames), rng, settings)
    around = {offset: frame for offset, frame in enumerate(sample.window, -(network.frames // 2)) if offset}
    window = FrameWindow(sample.blurred, around, (sample.before, sample.after))
    return [cut_pair(stack_planes(window, network.frames, network.references), sample.truths, patch)]


def cut_pair(seen: np.ndarray, truths: Sequence[np.ndarray], patch: int) -> np.ndarray:
    """What is seen [H, W, C] and what is true [H, W, 3] each of the inner part, `patch` + MARGIN on each side; uint8,
    channels first. H and W are `patch` + 2 × MARGIN."""
    inner = slice(MARGIN // 2, MARGIN // 2 + patch + MARGIN)
    return np.ascontiguousarray(np.concatenate([seen, *truths], axis=2)[inner, inner].transpose(2, 0, 1))


def cut_batch(pool: Sequence[np.ndarray], count: int, patch: int, rng: np.random.Generator) -> Tensor:
    """uint8 [count, C, patch, patch]: pairs of the pool, each cut, turned and flipped anew."""
    out = []
    for number in rng.integers(len(pool), size=count):
        pair = pool[int(number)]
        y, x = rng.integers(0, pair.shape[1] - patch + 1, 2)
        turned = np.rot90(pair[:, y : y + patch, x : x + patch], int(rng.integers(4)), axes=(1, 2))
        out.append(turned[:, :, ::-1] if rng.random() < 0.5 else turned)
    return torch.from_numpy(np.ascontiguousarray(np.stack(out)))


def middle_batch(pool: Sequence[np.ndarray], patch: int) -> Tensor:
    """uint8 [len(pool), C, patch, patch]: the middle of each pair, the same every time."""
    start = (pool[0].shape[1] - patch) // 2
    inner = slice(start, start + patch)
    return torch.from_numpy(np.ascontiguousarray(np.stack([pair[:, inner, inner] for pair in pool])))
