"""Draws expected harm over the threshold, one line a selector, as a PNG. Knows no selector."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from flows.measure.selector_scores import THRESHOLDS

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 900, 480, 70, 50, 46, 30
_INK, _GRID = (40, 40, 40), (225, 225, 225)
_COLOURS = ((180, 90, 20), (40, 60, 200), (60, 140, 60), (150, 60, 150))


def draw_harm(curves: Mapping[str, np.ndarray], path: Path) -> None:
    """curves: name → dB at each of `THRESHOLDS`. Writes a PNG of 900 × 480, a few kilobytes."""
    most = max(float(curve.max()) for curve in curves.values())
    ceiling = max(np.ceil(most * 20.0) / 20.0, 0.05)
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)

    def place(threshold: float, harm: float) -> tuple[int, int]:
        x = _LEFT + threshold * (_WIDTH - _LEFT - _RIGHT)
        return round(x), round(_HEIGHT - _BOTTOM - harm / ceiling * (_HEIGHT - _BOTTOM - _TOP))

    for value in np.linspace(0.0, ceiling, 6):
        cv2.line(canvas, place(0.0, float(value)), place(1.0, float(value)), _GRID, 1)
        _write(canvas, f"{value:.2f}", (8, place(0.0, float(value))[1] + 5))
    for share in np.linspace(0.0, 1.0, 11):
        _write(canvas, f"{share:.1f}", (place(float(share), 0.0)[0] - 12, _HEIGHT - _BOTTOM + 20))
    cv2.line(canvas, place(0.5, 0.0), place(0.5, ceiling), (170, 170, 170), 1)
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [place(float(each), float(value)) for each, value in zip(THRESHOLDS, curve, strict=True)]
        cv2.polylines(canvas, [np.array(points).reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA)
        least = int(np.argmin(curve))
        cv2.circle(canvas, points[least], 5, colour, -1, cv2.LINE_AA)
        _write(canvas, f"{name} (least at {THRESHOLDS[least]:.2f})", (_LEFT + 10, _TOP + 18 + 20 * number), colour)
    _write(canvas, "expected harm, dB a frame", (_LEFT, _TOP - 18))
    _write(canvas, "threshold", (_WIDTH // 2 - 30, _HEIGHT - 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), canvas, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int] = _INK) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
