"""Every selector side by side on clips that no training saw: figures, expected harm over the threshold, both modes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from deblur_core.metrics import psnr
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.registry import SELECTORS, load_restorer, load_selector
from deblur_core.models.selector import Selector
from deblur_core.synthesis.partly_blurred import KINDS
from deblur_core.verdict import judge
from flows.measure.models import restore_blurred
from flows.measure.selector_clips import DEFOCUSED, OBJECTS, PARTLY, PULLED, SHALLOW, JudgedClip, judged_clips
from flows.measure.selector_modes import Classified, ModeResult, classify, compare_modes, strided
from flows.measure.selector_plot import draw_harm
from flows.measure.selector_scores import (
    THRESHOLDS,
    Costs,
    area_under_curve,
    best_accuracy,
    calibration_error,
    expected_harm,
    harm_curve,
)

TIMED_CLIPS = 2


@dataclass(frozen=True)
class SelectorScores:
    """Over the frames of `partly` clips unless said: `accuracy`, missed and false alarms at the default threshold,
    harm_db there, least_harm_at the threshold of least harm.

    recall: by kind of blur, `objects` over the clips of that name; defocus: false alarms among frames out of focus, by
    set; frame_ms: processor time a frame, of this machine.
    """

    name: str
    frames: int
    auc: float
    accuracy: float
    missed: float
    false_alarms: float
    calibration_error: float
    harm_db: float
    least_harm_db: float
    least_harm_at: float
    recall: dict[str, float]
    defocus: dict[str, float]
    frame_ms: float


def measure_selectors(
    data: Path,
    work: Path,
    frames: int,
    shorter_side: int,
    seeds: list[int],
    false_alarm_db: float,
    blurred_share: float,
) -> int:
    """Prints the tables; writes `selectors.json` and `selector-harm.png` into `work`. Returns 0."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work.mkdir(parents=True, exist_ok=True)
    clips = list(judged_clips(data, frames, shorter_side, seeds))
    selectors: list[Selector] = [load_selector(name, "cpu") for name in SELECTORS]
    restorer = load_restorer("default", "cpu")
    costs = restoring_costs(restorer, clips, false_alarm_db, blurred_share)
    judged = {selector.name: [classify(selector, clip) for clip in clips] for selector in selectors}
    probabilities = {s.name: [strided(s, each.features, 1) for each in judged[s.name]] for s in selectors}
    scores = [_scores(s, judged[s.name], probabilities[s.name], costs) for s in selectors]
    plain = _laplacian(clips)
    curves = {
        s.name: harm_curve(_pooled(clips, probabilities[s.name], PARTLY), _motion(clips, PARTLY), costs)
        for s in selectors
    }
    draw_harm(curves, work / "selector-harm.png")
    partly = {name: [each for each in found if each.clip.kind == PARTLY] for name, found in judged.items()}
    modes = compare_modes(selectors, partly, restorer, TIMED_CLIPS)
    report = {
        "costs": asdict(costs), "scores": [asdict(each) for each in scores], "variance_of_laplacian": plain,
        "thresholds": THRESHOLDS.tolist(), "harm": {name: curve.tolist() for name, curve in curves.items()},
        "modes": [asdict(each) for each in modes],
    }  # fmt: skip
    (work / "selectors.json").write_text(json.dumps(report, indent=1))
    _print(scores, plain, modes, costs)
    return 0


def restoring_costs(
    restorer: NetworkRestorer,
    clips: Sequence[JudgedClip],
    false_alarm_db: float,
    blurred_share: float,
    each: int = 2,
) -> Costs:
    """Restores `each` motion-blurred and as many sharp frames of every `partly` clip, with the verdict of a run: a
    rejected frame stays what it was."""
    rng = np.random.default_rng(0)
    change: dict[bool, list[float]] = {True: [], False: []}
    for clip in clips:
        if clip.kind != PARTLY:
            continue
        for blurred, gains in change.items():
            for number in rng.permutation(np.flatnonzero(clip.motion == blurred))[:each]:
                gains.append(_change_db(restorer, clip, int(number)))
    sharp = change[False]
    missed_db = float(np.mean(change[True]))
    return Costs(missed_db, false_alarm_db, blurred_share, float(np.mean(sharp)), float(min(sharp)))


def _change_db(restorer: NetworkRestorer, clip: JudgedClip, number: int) -> float:
    labels = clip.motion.copy()
    labels[number] = True
    before, truth = clip.made.frames[number], clip.made.truth[number]
    after = restore_blurred(restorer, clip.made, number, labels)
    if not judge(cv2.cvtColor(after, cv2.COLOR_RGB2GRAY), clip.lumas[number]).accepted:
        return 0.0
    return psnr(after, truth) - psnr(before, truth)


def _pooled(clips: Sequence[JudgedClip], values: Sequence[np.ndarray], kind: str) -> np.ndarray:
    return np.concatenate([each for clip, each in zip(clips, values, strict=True) if clip.kind == kind])


def _motion(clips: Sequence[JudgedClip], kind: str) -> np.ndarray:
    return _pooled(clips, [clip.motion for clip in clips], kind)


def _scores(
    selector: Selector, judged: Sequence[Classified], probabilities: Sequence[np.ndarray], costs: Costs
) -> SelectorScores:
    clips = [each.clip for each in judged]
    threshold = selector.default_threshold
    probability, motion = _pooled(clips, probabilities, PARTLY), _motion(clips, PARTLY)
    flagged = [each >= np.float32(threshold) for each in probabilities]
    wrong = _pooled(clips, flagged, PARTLY)
    kinds = _pooled(clips, [np.array(clip.made.kinds) for clip in clips], PARTLY)
    curve = harm_curve(probability, motion, costs)
    recall = {kind: float(wrong[kinds == kind].mean()) for kind in KINDS if (kinds == kind).any()}
    recall[OBJECTS] = float(_pooled(clips, flagged, OBJECTS)[_motion(clips, OBJECTS)].mean())
    return SelectorScores(
        selector.name, len(motion), area_under_curve(probability, motion), float((wrong == motion).mean()),
        float((~wrong)[motion].mean()), float(wrong[~motion].mean()), calibration_error(probability, motion),
        expected_harm(probability, motion, threshold, costs), float(curve.min()), float(THRESHOLDS[curve.argmin()]),
        recall, _defocus_alarms(clips, flagged), 1e3 * float(np.mean([each.seconds for each in judged])),
    )  # fmt: skip


def _defocus_alarms(clips: Sequence[JudgedClip], flagged: Sequence[np.ndarray]) -> dict[str, float]:
    soft = [clip.defocused for clip in clips]
    return {
        kind: float(_pooled(clips, flagged, kind)[_pooled(clips, soft, kind)].mean())
        for kind in (DEFOCUSED, PULLED, SHALLOW)
    }


def _laplacian(clips: Sequence[JudgedClip]) -> dict[str, float]:
    """The plain rival: how little the Laplacian varies over the frame, with the one threshold that suits it best."""
    score = np.array(
        [-float(cv2.Laplacian(luma, cv2.CV_64F).var()) for c in clips if c.kind == PARTLY for luma in c.lumas]
    )
    motion = _motion(clips, PARTLY)
    return {"auc": area_under_curve(score, motion), "best_accuracy": best_accuracy(score, motion)}


def _print(
    scores: Sequence[SelectorScores], plain: dict[str, float], modes: Sequence[ModeResult], costs: Costs
) -> None:
    console = Console(width=150)
    console.print(
        f"harm: a missed frame costs {costs.missed_db:.2f} dB (measured), a false alarm {costs.false_alarm_db:.2f} dB "
        f"and {costs.blurred_share:.0%} of the frames are blurred (assumed); sharp frames restored changed by "
        f"{costs.sharp_mean_db:+.2f} dB on the mean, {costs.sharp_worst_db:+.2f} dB at worst"
    )
    table = Table(
        "selector", "frames", "AUC", "labels right", "missed", "false alarms", "ECE", "harm dB", "least at", "ms"
    )
    for each in scores:
        table.add_row(
            each.name, str(each.frames), f"{each.auc:.4f}", f"{each.accuracy:.1%}", f"{each.missed:.1%}",
            f"{each.false_alarms:.1%}", f"{each.calibration_error:.3f}", f"{each.harm_db:.3f}",
            f"{each.least_harm_db:.3f} at {each.least_harm_at:.2f}", f"{each.frame_ms:.1f}",
        )  # fmt: skip
    table.add_row("variance of Laplacian", "", f"{plain['auc']:.4f}", f"{plain['best_accuracy']:.1%} at best")
    console.print(table)
    kinds, soft = list(scores[0].recall), list(scores[0].defocus)
    table = Table("selector", *[f"found: {kind}" for kind in kinds], *[f"flagged: {kind}" for kind in soft])
    for each in scores:
        table.add_row(
            each.name, *[f"{each.recall[kind]:.1%}" for kind in kinds], *[f"{each.defocus[kind]:.1%}" for kind in soft]
        )
    console.print(table)
    table = Table("selector", "stride", "measured", "labels right", "speed", "restored", "seconds", "Eq. 14")
    for mode in modes:
        table.add_row(
            mode.selector, str(mode.stride), f"{mode.measured} of {mode.frames}", f"{mode.accuracy:.1%}",
            f"{mode.speed:.3f}", str(mode.blurred), f"{mode.seconds:.1f}", f"{mode.predicted:.1f}",
        )  # fmt: skip
    console.print(table)
