"""DeblurNet's two ways of selecting (Table 9): every frame, or the middle of every 15, whose label its group shares.

Times are of the processor, one thread, so that another program's load does not count. Knows no table and no command.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.selector import Selector
from flows.measure.models import restore_blurred
from flows.measure.selector_clips import JudgedClip
from workers.stages.classify import measured_frames, seen_frames

STRIDES = (1, 15)


@dataclass(frozen=True)
class Classified:
    """What a selector says of one clip. features: of every frame; seconds: processor time a frame to measure them."""

    clip: JudgedClip
    features: list[np.ndarray]
    seconds: float


@dataclass(frozen=True)
class ModeResult:
    """accuracy: share of labels right; measured: frames looked at, of `frames`; speed: frames classified a second,
    against the reference's every-frame mode.

    For the timed clips: blurred, frames flagged and restored; seconds: the time of doing it all; predicted: what
    Eq. 14 says from the means of one frame.
    """

    selector: str
    stride: int
    frames: int
    measured: int
    accuracy: float
    speed: float
    blurred: int
    seconds: float
    predicted: float


def classify(selector: Selector, clip: JudgedClip) -> Classified:
    """Measures every frame of a clip."""
    began = time.process_time()
    features = [selector.frame_features(luma) for luma in clip.lumas]
    return Classified(clip, features, (time.process_time() - began) / len(clip.lumas))


def strided(selector: Selector, features: Sequence[np.ndarray], stride: int) -> np.ndarray:
    """float32 [T]: probabilities when only the middle of every `stride` frames is measured."""
    measured, owner = measured_frames(len(features), stride)
    seen = seen_frames(measured, selector.context_frames)
    probability = np.zeros(len(features), np.float32)
    probability[seen] = selector.probabilities([features[int(number)] for number in np.flatnonzero(seen)])
    return probability[owner]


def run_seconds(frame_restored: float, blurred: int, frame_classified: float, classified: int) -> float:
    """Eq. 14: T_run = t_d · N_b + t_c · N_a, times in seconds; N_a are the frames that were looked at."""
    return frame_restored * blurred + frame_classified * classified


def compare_modes(
    selectors: Sequence[Selector],
    classified: dict[str, list[Classified]],
    restorer: NetworkRestorer,
    timed_clips: int,
) -> list[ModeResult]:
    """Both modes of every selector; the first is the reference. Whole runs are timed on the first `timed_clips`."""
    torch.set_num_threads(1)
    reference = math.nan
    results = []
    frame_restored = _seconds_to_restore(restorer, [each.clip for each in classified[selectors[0].name][:timed_clips]])
    for selector in selectors:
        clips = classified[selector.name]
        one = float(np.mean([each.seconds for each in clips]))
        timed = float(np.mean([each.seconds for each in clips[:timed_clips]]))
        for stride in STRIDES:
            right, frames, measured, blurred, seconds = 0, 0, 0, 0, 0.0
            for number, each in enumerate(clips):
                labels = strided(selector, each.features, stride) >= np.float32(selector.default_threshold)
                right += int((labels == each.clip.motion).sum())
                frames += len(labels)
                measured += _looked_at(selector, each, stride)
                if number < timed_clips:
                    blurred += int(labels.sum())
                    seconds += _seconds_of_a_run(selector, restorer, each.clip, stride)
            of_timed = sum(_looked_at(selector, each, stride) for each in clips[:timed_clips])
            speed = frames / (one * measured)
            reference = speed if math.isnan(reference) else reference
            results.append(
                ModeResult(
                    selector.name, stride, frames, measured, right / frames, speed / reference,
                    blurred, seconds, run_seconds(frame_restored, blurred, timed, of_timed),
                )
            )  # fmt: skip
    return results


def _looked_at(selector: Selector, clip: Classified, stride: int) -> int:
    measured, _ = measured_frames(len(clip.features), stride)
    return int(seen_frames(measured, selector.context_frames).sum())


def _seconds_to_restore(restorer: NetworkRestorer, clips: list[JudgedClip]) -> float:
    """Processor time of one frame, over three truly blurred frames of each clip."""
    chosen = [(clip, int(number)) for clip in clips for number in np.flatnonzero(clip.motion)[:3]]
    began = time.process_time()
    for clip, number in chosen:
        restore_blurred(restorer, clip.made, number, clip.motion)
    return (time.process_time() - began) / len(chosen)


def _seconds_of_a_run(selector: Selector, restorer: NetworkRestorer, clip: JudgedClip, stride: int) -> float:
    """Processor time of classifying a clip with this stride and restoring what was flagged."""
    measured, owner = measured_frames(len(clip.lumas), stride)
    seen = seen_frames(measured, selector.context_frames)
    began = time.process_time()
    features = [selector.frame_features(clip.lumas[number]) for number in np.flatnonzero(seen)]
    probability = np.zeros(len(clip.lumas), np.float32)
    probability[seen] = selector.probabilities(features)
    labels = probability[owner] >= np.float32(selector.default_threshold)
    for number in np.flatnonzero(labels):
        restore_blurred(restorer, clip.made, int(number), labels)
    return time.process_time() - began
