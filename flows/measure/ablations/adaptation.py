"""Reblur2Deblur's ablations (Chen et al. 2018, Tables 3 and 5): a released restorer adapted to clips with known truth.

The clips are held out from every training and blurred as the paper's are, by the mean of the frames around each, so
that motion between frames explains the blur and τ is 1; only some runs of them, since labelled pairs come from the
others. The adaptation sees no truth. Each way gives the weights that it learnt, accepted or refused, and all are
scored on the same blurred frames.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from deblur_core.adaptation.adapt import adapt
from deblur_core.adaptation.footage import Footage
from deblur_core.adaptation.settings import AdaptationSettings
from deblur_core.errors import UsageError
from deblur_core.metrics import psnr
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.registry import load_restorer
from deblur_core.models.restorer import window_in
from deblur_core.synthesis import exposure
from deblur_core.synthesis.interpolation import mean_over_time
from deblur_core.synthesis.middle import is_centred
from deblur_core.synthesis.recording import Encoder
from deblur_core.training.clips import shrink
from deblur_core.training.library import open_library
from flows.measure.ablations.report import Scores
from flows.measure.ablations.studies import PublishedTable, Row

PAPER = "reblur2deblur"
RESTORER = "dvd"
TABLES = (
    PublishedTable(
        "Table 3",
        "by warping",
        (
            Row("not adapted", "before", 25.067),
            Row("by convolution", "convolution", 25.694),
            Row("by warping", "warping", 25.693),
        ),
    ),
    PublishedTable(
        "Table 5",
        "three frames",
        (
            Row("not adapted", "before", 25.067),
            Row("two frames", "two frames", 25.163),
            Row("pairs alone, α = 0", "pairs alone"),
            Row("three frames", "warping", 25.694),
        ),
    ),
)
NOTE = (
    f"`{RESTORER}`, released weights; two held-out clips at 288 pixels, blurred over three frames; the weights learnt, "
    "accepted or not; samples are blurred frames, steps are iterations"
)
ITERATIONS_PER_MINUTE = 40
_CLIPS, _FRAMES, _SHORTER_SIDE, _MOST_TARGETS, _LEAST_TARGETS = 2, 40, 288, 12, 6
_SEED = 1
_RUN, _GAP = 6, 4  # blurred frames, and sharp ones between
_CRF = 20.0


@dataclass(frozen=True)
class KnownClip:
    """frames: as recorded; truth: the same moments sharp; uint8 RGB [H, W, 3]; labels: bool [T], true where blurred."""

    frames: Sequence[np.ndarray]
    truth: Sequence[np.ndarray]
    labels: np.ndarray


def adapt_variants(
    library: Path, folder: Path, minutes_each: float | None, steps: int | None, say: Callable[[str], None]
) -> dict[str, Scores]:
    """Scores by variant, those of `folder` where it holds them. steps: iterations; else 40 for each minute asked for.

    Raises UsageError when the library holds no video to judge on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    iterations = steps or max(round(ITERATIONS_PER_MINUTE * (minutes_each or 1.0)), 1)
    warping = AdaptationSettings(
        iterations, exposure=1.0, patch=128, labelled_patches=64, held_out_patches=12, seed=_SEED
    )
    ways = {
        "before": None,
        "warping": warping,
        "convolution": replace(warping, formation="convolution"),
        "two frames": replace(warping, frames=2),
        "pairs alone": replace(warping, alpha=0.0),
    }
    clips = _clips(library)
    return {name: _scores(name, settings, clips, folder, say) for name, settings in ways.items()}


def average_frames(frames: Sequence[np.ndarray]) -> KnownClip:
    """Blurs runs of a sharp clip, uint8 RGB [H, W, 3] each: exposed from the frame before to the one after, but for
    frames that are no truth for that."""
    labels = np.arange(len(frames)) % (_RUN + _GAP) >= _GAP
    labels[-1] = False
    for number in map(int, np.flatnonzero(labels)):
        labels[number] = is_centred(frames[number - 1 : number + 2], blur_pixels=0.0)
    taken = []
    for number, blurred in enumerate(labels):
        shown = frames[number]
        if blurred:
            around = [exposure.to_linear(each.astype(np.float32) / 255.0) for each in frames[number - 1 : number + 2]]
            shown = exposure.quantise(exposure.to_display(mean_over_time(around)))
        taken.append(shown)
    return KnownClip(Encoder("h264", _CRF).encode(taken), frames, labels)


def _clips(library: Path) -> list[KnownClip]:
    """The held-out videos that move most."""
    videos = [clip for clip in open_library(library, held_out=True) if len(clip.frames) >= _FRAMES // 2]
    if not videos:
        raise UsageError(f"the data hold no video of {_FRAMES // 2} frames to judge on: nothing can be adapted to")
    made = [
        average_frames([shrink(np.asarray(frame), _SHORTER_SIDE) for frame in video.frames[:_FRAMES]])
        for video in videos
    ]
    moving = [clip for clip in made if clip.labels.sum() >= _LEAST_TARGETS]
    if not moving:
        raise UsageError("no video in the data moves evenly enough to be blurred by averaging its frames")
    return sorted(moving, key=lambda clip: float(np.mean(_psnr(clip, clip.frames))))[:_CLIPS]


def _psnr(clip: KnownClip, frames: Sequence[np.ndarray]) -> list[float]:
    return [psnr(frames[number], clip.truth[number]) for number in map(int, np.flatnonzero(clip.labels))]


def _scores(
    name: str,
    settings: AdaptationSettings | None,
    clips: Sequence[KnownClip],
    folder: Path,
    say: Callable[[str], None],
) -> Scores:
    path = folder / f"{name.replace(' ', '-')}.json"
    if not path.exists():
        restorer = load_restorer(RESTORER, "cpu")
        began, told = time.process_time(), {"teaching": 0, "accepted": False}
        if settings is not None:
            footage = [Footage(str(number), clip.frames, clip.labels) for number, clip in enumerate(clips)]
            done = adapt(restorer.network, footage, settings)
            told = {"teaching": done.teaching, "looked_at": done.looked_at, "accepted": done.accepted}
            _load(restorer, done.found)
        seconds = time.process_time() - began
        values = [value for clip in clips for value in _judged(restorer, clip)]
        described = {
            "steps": settings.iterations if settings else 0,
            "seconds": round(seconds, 1),
            "parameters": sum(parameter.numel() for parameter in restorer.network.parameters()),
            "psnr_db": values,
            **told,
        }
        path.write_text(json.dumps(described), encoding="utf-8")
        say(f"{folder.name}: {name}: {np.mean(values):.3f} dB, {seconds:.0f} s, {told}")
    held = json.loads(path.read_text(encoding="utf-8"))
    judged = np.array(held["psnr_db"])
    return Scores(judged, np.full(len(judged), np.nan), held["steps"], held["seconds"], held["parameters"])


def _load(restorer: NetworkRestorer, weights: dict[str, Tensor]) -> None:
    restorer.network.load_state_dict({name: value.float() for name, value in weights.items()})


def _judged(restorer: NetworkRestorer, clip: KnownClip) -> list[float]:
    """PSNR of the first blurred frames, each restored with its sharp neighbours in view, dB."""
    values = []
    for target in map(int, np.flatnonzero(clip.labels)[:_MOST_TARGETS]):
        window = window_in(clip.frames, target, clip.labels, restorer.needs)
        values.append(psnr(restorer.restore_frame(window), clip.truth[target]))
    return values
