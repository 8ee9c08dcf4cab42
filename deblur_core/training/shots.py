"""Samples as a run meets them: places of whole partly blurred shots, with what stands around and every pass over them.

References are those that a run would choose, guides are what given weights restored, and where a shot has no sharp
frame its blurred ones stand in, restored. So a network learns from its own mistakes: what it is guided by, how flow to
that errs, how far away the sharp frames are. Knows nothing of how samples are stored.
"""

from collections.abc import Sequence

import numpy as np

from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.passes import stacks_of_passes
from deblur_core.models.restorer import choose_context, picture_sharpness, window_of
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip
from deblur_core.synthesis.scenes import cut_scene

SAMPLES_PER_SHOT = 16
_FRAMES = 23
_SHOT_SIDE = 384
# As much blur, in pixels, as on whole frames of about 560 lines: a shot is a place of such a frame.
_SETTINGS = PartlyBlurredSettings(blur_pixels=(2.5, 18.0 * 540.0 / _SHOT_SIDE), share_jpeg=0.1)
_SHARE_WITHOUT_SHARP = 0.45


def draw_shot(
    frames: Sequence[np.ndarray], rng: np.random.Generator, restorer: NetworkRestorer, side: int
) -> list[np.ndarray]:
    """`SAMPLES_PER_SHOT` samples of a place of a sharp clip or photograph, blurred in runs.

    frames: uint8 RGB [H, W, 3] of one size; restorer: whose restored frames guide later passes; side: of a sample,
    pixels. Each sample is uint8 [side, side, C]: what the restorer's network sees of a window, then the truth.
    """
    offsets = range(-(_FRAMES // 2), _FRAMES // 2 + 1)
    clip = blur_clip(cut_scene(frames, max(_SHOT_SIDE, side), offsets, rng), rng, _SETTINGS)
    without_sharp = rng.random() < _SHARE_WITHOUT_SHARP
    blurred = np.flatnonzero(clip.labels)
    targets = blurred if len(blurred) else np.arange(len(clip.frames))  # a shot that stayed sharp is learnt to be kept
    samples: list[np.ndarray] = []
    while len(samples) < SAMPLES_PER_SHOT:
        target = int(rng.choice(targets))
        shot = _run_around(clip.labels, target) if without_sharp else None
        plan = choose_context(
            target, clip.labels, restorer.needs, shot=shot, sharpness_of=lambda n: picture_sharpness(clip.frames[n])
        )
        window = window_of(plan, clip.frames.__getitem__)
        seen = [
            np.concatenate([planes, clip.truth[target]], axis=2) for planes in stacks_of_passes(window, restorer, rng)
        ]
        samples += [_cut(planes, side, rng) for planes in seen]
    return samples[:SAMPLES_PER_SHOT]


def _run_around(labels: np.ndarray, target: int) -> tuple[int, int]:
    """First and stop frame of the run of blurred frames that a frame lies in."""
    sharp = np.flatnonzero(~labels)
    before, after = sharp[sharp < target], sharp[sharp > target]
    return (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) if len(after) else len(labels))


def _cut(planes: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    y, x = (int(rng.integers(length - side + 1)) for length in planes.shape[:2])
    return np.ascontiguousarray(planes[y : y + side, x : x + side])
