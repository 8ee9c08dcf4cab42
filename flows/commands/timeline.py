"""Draws a video's blur probability over time as a PNG. Knows no selector."""

from pathlib import Path

import cv2
import numpy as np

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 1200, 320, 60, 44, 40, 20
_INK, _GRID, _CURVE, _BLURRED = (60, 60, 60), (225, 225, 225), (160, 90, 30), (200, 205, 250)  # BGR


def draw_timeline(path: Path, probability: np.ndarray, seconds: np.ndarray, threshold: float, title: str) -> None:
    """probability: float [N] in [0, 1]; seconds: float [N], rising. Blurred stretches are shaded."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    first, span = float(seconds[0]), max(float(seconds[-1] - seconds[0]), 1e-9)

    def x_of(time: float) -> int:
        return _LEFT + round((time - first) / span * plot_width)

    def y_of(value: float) -> int:
        return _TOP + round((1.0 - value) * plot_height)

    ends = np.append(seconds[1:], seconds[-1])
    for start, end, value in zip(seconds, ends, probability, strict=True):
        if value >= threshold:
            cv2.rectangle(canvas, (x_of(float(start)), _TOP), (x_of(float(end)), _TOP + plot_height), _BLURRED, -1)
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        cv2.line(canvas, (_LEFT, y_of(value)), (_WIDTH - _RIGHT, y_of(value)), _GRID, 1)
        _write(canvas, f"{value:.2f}", (10, y_of(value) + 5), 0.45)
    for tick in np.linspace(first, first + span, 9):
        x = x_of(float(tick))
        cv2.line(canvas, (x, _TOP + plot_height), (x, _TOP + plot_height + 5), _INK, 1)
        _write(canvas, f"{tick:.2f} s", (x - 24, _HEIGHT - 14), 0.45)
    points = np.array([(x_of(float(t)), y_of(float(p))) for t, p in zip(seconds, probability, strict=True)], np.int32)
    cv2.polylines(canvas, [points], False, _CURVE, 2, cv2.LINE_AA)
    y = y_of(threshold)
    for x in range(_LEFT, _WIDTH - _RIGHT, 12):
        cv2.line(canvas, (x, y), (x + 6, y), _INK, 1)
    blurred = int(np.count_nonzero(probability >= threshold))
    ascii_title = title.encode("ascii", "replace").decode()
    _write(canvas, f"{ascii_title}: blur probability, {blurred} of {len(probability)} frames blurred", (_LEFT, 28), 0.6)
    path.write_bytes(cv2.imencode(".png", canvas)[1].tobytes())


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], size: float) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)
