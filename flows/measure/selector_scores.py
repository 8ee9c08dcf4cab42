"""How good blur probabilities are: curves and figures over pooled frames. Knows no clip and no selector."""

from dataclasses import dataclass

import numpy as np

THRESHOLDS = np.round(np.linspace(0.02, 0.98, 49), 2)


@dataclass(frozen=True)
class Costs:
    """What a wrong label costs, dB of PSNR against the truth.

    missed_db: what restoring gained blurred frames on the mean, measured. false_alarm_db: what a sharp frame counts
    that is restored for nothing, assumed. blurred_share: how much of an archive is blurred, assumed. sharp_mean_db,
    sharp_worst_db: how sharp frames changed when they were restored, measured, to hold the assumption against.
    """

    missed_db: float
    false_alarm_db: float
    blurred_share: float
    sharp_mean_db: float = 0.0
    sharp_worst_db: float = 0.0


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve (ties count half); NaN when only one class is there."""
    if positive.all() or not positive.any():
        return float("nan")
    _, rank, count = np.unique(score, return_inverse=True, return_counts=True)
    place = (np.cumsum(count) - (count - 1) / 2.0)[rank]
    blurred = int(positive.sum())
    return float((place[positive].sum() - blurred * (blurred + 1) / 2.0) / (blurred * (len(score) - blurred)))


def calibration_error(probability: np.ndarray, positive: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017, Eq. 3): ten equal bins, [0, 1], 0 is perfect."""
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(float(probability[bin_of == number].mean() - positive[bin_of == number].mean())) * (bin_of == number).mean()
        for number in range(bins)
        if (bin_of == number).any()
    ]
    return float(sum(gaps))


def expected_harm(probability: np.ndarray, positive: np.ndarray, threshold: float, costs: Costs) -> float:
    """dB a frame that wrong labels cost: share × missed rate × gain lost + (1 − share) × false-alarm rate × loss."""
    flagged = probability >= np.float32(threshold)
    missed, alarms = float((~flagged)[positive].mean()), float(flagged[~positive].mean())
    return costs.blurred_share * missed * costs.missed_db + (1.0 - costs.blurred_share) * alarms * costs.false_alarm_db


def harm_curve(probability: np.ndarray, positive: np.ndarray, costs: Costs) -> np.ndarray:
    """float64 [49]: `expected_harm` at each of `THRESHOLDS`."""
    return np.array([expected_harm(probability, positive, float(each), costs) for each in THRESHOLDS])


def best_accuracy(score: np.ndarray, positive: np.ndarray) -> float:
    """Share of labels right at the one threshold that suits these very frames best: what no threshold set before can
    exceed."""
    order = np.argsort(-score, kind="stable")
    right = np.concatenate([[0], np.cumsum(np.where(positive[order], 1, -1))]) + int((~positive).sum())
    cuts = np.concatenate([[True], np.diff(score[order]) != 0, [True]])
    return float(right[cuts].max() / len(score))
