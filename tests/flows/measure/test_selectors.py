"""What the measurement of selectors computes, on numbers small enough to check by hand, and on one small clip."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_core.models.deblurnet_selector import DeblurNetSelector
from deblur_core.models.registry import load_selector
from flows.measure.selector_modes import run_seconds, strided
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

POSITIVE = np.array([False, False, True, True])


def test_the_area_counts_pairs_in_order_and_ties_half() -> None:
    assert area_under_curve(np.array([0.1, 0.4, 0.4, 0.9]), POSITIVE) == pytest.approx(3.5 / 4)
    assert np.isnan(area_under_curve(np.ones(3), np.ones(3, bool)))


def test_the_best_threshold_may_not_part_equal_scores() -> None:
    assert best_accuracy(np.array([0.1, 0.4, 0.4, 0.9]), POSITIVE) == 0.75
    assert best_accuracy(np.array([0.1, 0.2, 0.4, 0.9]), POSITIVE) == 1.0


def test_what_is_sure_and_wrong_is_badly_calibrated() -> None:
    assert calibration_error(np.array([0.0, 0.0, 1.0, 1.0]), POSITIVE) == 0.0
    assert calibration_error(np.array([1.0, 1.0, 0.0, 0.0]), POSITIVE) == 1.0
    assert calibration_error(np.full(4, 0.75), POSITIVE) == pytest.approx(0.25)


def test_harm_weighs_the_missed_and_the_false_alarms_by_cost_and_share() -> None:
    costs = Costs(missed_db=4.0, false_alarm_db=1.0, blurred_share=0.25)
    probability = np.array([0.2, 0.6, 0.4, 0.9])
    assert expected_harm(probability, POSITIVE, 0.5, costs) == pytest.approx(0.25 * 0.5 * 4.0 + 0.75 * 0.5 * 1.0)
    curve = harm_curve(probability, POSITIVE, costs)
    assert THRESHOLDS[int(np.argmin(curve))] <= 0.4 and curve.min() == pytest.approx(0.75 * 0.5)


def test_equation_14_adds_what_is_restored_and_what_is_looked_at() -> None:
    # Table 9, video 1: 60 of 180 frames blurred, 0.43 s to restore one and 0.078 s to classify one.
    assert run_seconds(0.43, 60, 0.078, 180) == pytest.approx(39.84)


def test_the_middle_of_each_fifteen_speaks_for_all() -> None:
    class Counted(DeblurNetSelector):
        def __init__(self) -> None:
            self.looked_at = 0

        def probabilities(self, features: object) -> np.ndarray:
            found = np.array(features, np.float32).reshape(-1)
            self.looked_at = len(found)
            return found

    selector = Counted()
    found = strided(selector, [np.array([[number]], np.float32) for number in range(20)], 15)
    assert selector.looked_at == 2
    assert found.tolist() == [7.0] * 15 + [17.0] * 5


def test_with_a_stride_of_one_every_frame_is_measured() -> None:
    selector = load_selector("default")
    lumas = [np.random.default_rng(n).integers(0, 255, (64, 96)).astype(np.uint8) for n in range(4)]
    features = [selector.frame_features(luma) for luma in lumas]
    assert np.array_equal(strided(selector, features, 1), selector.probabilities(features))


def test_the_curve_is_a_small_picture(tmp_path: Path) -> None:
    draw_harm({"a": np.linspace(0.4, 0.1, 49), "b": np.linspace(0.1, 0.6, 49)}, tmp_path / "harm.png")
    picture = cv2.imread(str(tmp_path / "harm.png"))
    assert picture.shape == (480, 900, 3) and len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    assert (tmp_path / "harm.png").stat().st_size < 60_000
