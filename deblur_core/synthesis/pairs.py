"""A sharp clip in, pairs of a blurred frame and its truth out, by either model, each clip with one camera of its own.

Works through a clip a stretch at a time, so that memory does not grow with its length. Knows no file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice, pairwise
from typing import Literal

import numpy as np

from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip
from deblur_core.synthesis.rebvids import SHARP, RebvidsSettings, expose_intervals, plan_intervals
from deblur_core.synthesis.recording import Recording, RecordingSettings, sense

Model = Literal["rebvids", "shake"]

_STRETCH_BYTES = 128e6
_STRETCH_FRAMES = (12, 96)


@dataclass(frozen=True)
class Pair:
    """blurred: as recorded; sharp: its truth; both uint8 RGB [H, W, 3]. kind: `sharp` or how it was blurred;
    strength_pixels: how far things smear, 0 where sharp; source_frame: which frame of the clip the truth shows."""

    blurred: np.ndarray
    sharp: np.ndarray
    kind: str
    strength_pixels: float
    source_frame: int

    @property
    def is_blurred(self) -> bool:
        return self.kind != SHARP


@dataclass(frozen=True)
class PairSettings:
    """What the clips are made with. Of `shake`, noise and encoder are those of `recording`."""

    rebvids: RebvidsSettings = field(default_factory=RebvidsSettings)
    shake: PartlyBlurredSettings = field(default_factory=PartlyBlurredSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)


def make_pairs(
    model: Model, frames: Iterable[np.ndarray], count: int, rng: np.random.Generator, settings: PairSettings
) -> Iterator[Pair]:
    """The pairs of a clip of `count` frames uint8 RGB [H, W, 3] of one size, in order of time.

    `rebvids` gives one for each interval, none when the clip is shorter than the shortest; `shake` one for each frame.
    The same generator state gives the same pairs. Raises ValueError when there are fewer frames than `count`.
    """
    recording = Recording.draw(rng, settings.recording)
    if model == "shake":
        return _shaken(frames, count, rng, settings.shake, recording)
    return _averaged(frames, count, rng, settings.rebvids, recording)


def _averaged(
    frames: Iterable[np.ndarray], count: int, rng: np.random.Generator, settings: RebvidsSettings, recording: Recording
) -> Iterator[Pair]:
    exposures = expose_intervals(frames, plan_intervals(count, rng, settings), rng, settings)
    # A stretch holds what the sensor took, not the light, which is four times as large.
    taken = ((exposed, sense(exposed.linear, recording.noise, rng)) for exposed in exposures)
    light = (Pair(blurred, each.sharp, each.kind, each.strength_pixels, each.source_frame) for each, blurred in taken)
    for stretch in _stretches(light):
        encoded = recording.encoder.encode([pair.blurred for pair in stretch])
        yield from (replace(pair, blurred=blurred) for pair, blurred in zip(stretch, encoded, strict=True))


def _shaken(
    frames: Iterable[np.ndarray],
    count: int,
    rng: np.random.Generator,
    settings: PartlyBlurredSettings,
    recording: Recording,
) -> Iterator[Pair]:
    gain = float(rng.uniform(*settings.highlight_gain))
    settings = replace(
        settings,
        share_with_object=float(rng.random() < settings.share_with_object),
        share_highlights=float(rng.random() < settings.share_highlights),
        highlight_gain=(gain, gain),
    )
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise ValueError("make_pairs: no frames")
    coming = chain([first], coming)
    parts = -(-count // _stretch_frames(first))
    edges = [count * part // parts for part in range(parts + 1)]
    for start, stop in pairwise(edges):
        stretch = list(islice(coming, stop - start))
        if len(stretch) != stop - start:
            raise ValueError(f"make_pairs: the clip ends at frame {start + len(stretch)} of {count}")
        made = blur_clip(stretch, rng, settings, recording)
        for number in range(len(stretch)):
            strength = float(made.strength_pixels[number])
            yield Pair(made.frames[number], made.truth[number], made.kinds[number], strength, start + number)


def _stretches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    coming = iter(pairs)
    while (first := next(coming, None)) is not None:
        yield [first, *islice(coming, _stretch_frames(first.sharp) - 1)]


def _stretch_frames(frame: np.ndarray) -> int:
    return int(np.clip(_STRETCH_BYTES // frame.nbytes, *_STRETCH_FRAMES))
