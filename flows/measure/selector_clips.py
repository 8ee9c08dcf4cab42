"""The clips that selectors are judged on: none was trained on, every frame's label is known, all went through H.264."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from deblur_core.synthesis.defocus import DEFOCUS
from deblur_core.synthesis.focus import focal_field, focus_pull, out_of_focus
from deblur_core.synthesis.partly_blurred import PartlyBlurred, PartlyBlurredSettings, blur_clip
from deblur_core.training.clips import HELD_OUT, Clip, load_corpus

PARTLY, OBJECTS, DEFOCUSED, PULLED, SHALLOW = "partly", "objects", "defocused", "pulled", "shallow"
SETS = (PARTLY, OBJECTS, DEFOCUSED, PULLED, SHALLOW)
"""partly: shake, roll, averages and objects as they come; objects: object-only blur; the others hold no motion blur:
whole frames out of focus in runs, a focus pull, a shallow depth of field in every frame."""

_H264 = PartlyBlurredSettings(share_jpeg=0.0, crf=(18.0, 28.0))
_SETTINGS = {
    PARTLY: _H264,
    OBJECTS: replace(_H264, share_with_object=1.0, kind_weights=(0.0, 0.0, 0.0, 1.0)),
    DEFOCUSED: replace(_H264, share_defocused=1.0),
    PULLED: replace(_H264, blurred_share=(0.0, 0.0)),
    SHALLOW: replace(_H264, blurred_share=(0.0, 0.0)),
}
_STRONGEST_RADIUS = 8.0  # pixels, for a shorter side of 540


@dataclass(frozen=True)
class JudgedClip:
    """made: what was recorded, and its truth; lumas: uint8 [H, W], one a frame; defocused: bool [T], out of focus as a
    whole or in depth; motion: bool [T], the labels that a selector of motion blur should give."""

    name: str
    kind: str
    made: PartlyBlurred
    lumas: list[np.ndarray]
    defocused: np.ndarray

    @property
    def motion(self) -> np.ndarray:
        return self.made.labels & (np.array(self.made.kinds) != DEFOCUS)


def judged_clips(data: Path, frames: int, shorter_side: int, seeds: list[int]) -> Iterator[JudgedClip]:
    """Every set of every held-out clip: `partly` once a seed, the others with the first seed.

    Raises UsageError when `data` has none of the clips.
    """
    for place, clip in enumerate(load_corpus(data, frames, shorter_side, only=HELD_OUT)):
        for number, kind in enumerate(SETS):
            for seed in seeds if kind == PARTLY else seeds[:1]:
                yield _judged(clip, kind, np.random.default_rng([seed, place, number]))


def _judged(clip: Clip, kind: str, rng: np.random.Generator) -> JudgedClip:
    count, size = len(clip.frames), clip.frames[0].shape[:2]
    radius = float(rng.uniform(1.5, _STRONGEST_RADIUS) * max(min(size) / 540.0, 0.4))
    taken, defocused = clip.frames, np.zeros(count, bool)
    if kind == PULLED:
        radii = focus_pull(count, radius, rng)
        taken, defocused = out_of_focus(taken, radii), radii > 0.5
    elif kind == SHALLOW:
        field = focal_field(size, float(rng.uniform(0.15, 0.5)), rng)
        taken, defocused = out_of_focus(taken, [radius] * count, field), np.ones(count, bool)
    made = blur_clip(taken, rng, _SETTINGS[kind])
    defocused |= np.array(made.kinds) == DEFOCUS
    lumas = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in made.frames]
    return JudgedClip(clip.name, kind, made, lumas, defocused)
