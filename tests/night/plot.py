"""Draws readings over time, one panel a measure, as a PNG. Knows no program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tests.night.sampler import Reading

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 260, 80, 250, 30, 26
_INK, _GRID = (40, 40, 40), (225, 225, 225)
_COLOURS = (
    (180, 90, 20), (40, 60, 200), (60, 140, 60), (150, 60, 150), (20, 140, 200), (120, 120, 120), (160, 160, 40),
)  # fmt: skip
_PANELS = (
    ("rss", "resident memory, MiB", 1 << 20),
    ("descriptors", "open files", 1),
    ("threads", "threads", 1),
    ("bytes", "on disk, MiB", 1 << 20),
)


def draw(readings: Sequence[Reading], path: Path) -> None:
    """Writes a PNG of 1000 × 1040; a line a process or place, a colour a role."""
    minutes = max(max(reading.seconds for reading in readings) / 60, 1e-9)
    panels = [_panel(readings, *panel, minutes) for panel in _PANELS]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(panels), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _panel(readings: Sequence[Reading], measure: str, title: str, unit: int, minutes: float) -> np.ndarray:
    lines: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for each in readings:
        if each.measure == measure and each.subject != "all processes":
            lines[each.subject, each.process].append((each.seconds / 60, each.value / unit))
    most = max((value for line in lines.values() for _, value in line), default=1.0) * 1.05 or 1.0
    canvas = np.full((_PANEL, _WIDTH, 3), 255, np.uint8)

    def place(minute: float, value: float) -> tuple[int, int]:
        x = _LEFT + minute / minutes * (_WIDTH - _LEFT - _RIGHT)
        return round(x), round(_PANEL - _BOTTOM - value / most * (_PANEL - _BOTTOM - _TOP))

    for value in np.linspace(0.0, most, 5):
        cv2.line(canvas, place(0, float(value)), place(minutes, float(value)), _GRID, 1)
        _write(canvas, f"{value:.4g}", (8, place(0, float(value))[1] + 5))
    for minute in np.linspace(0.0, minutes, 7):
        _write(canvas, f"{minute:.0f}", (place(float(minute), 0)[0] - 8, _PANEL - 6))
    subjects = sorted({subject for subject, _ in lines})
    for (subject, _), points in sorted(lines.items()):
        colour = _COLOURS[subjects.index(subject) % len(_COLOURS)]
        line = np.array([place(*point) for point in points]).reshape(-1, 1, 2)
        cv2.polylines(canvas, [line], False, colour, 1, cv2.LINE_AA)
    for number, subject in enumerate(subjects):
        colour = _COLOURS[number % len(_COLOURS)]
        _write(canvas, subject, (_WIDTH - _RIGHT + 12, _TOP + 20 * number + 10), colour)
    _write(canvas, f"{title}, over minutes", (_LEFT, 18))
    return canvas


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int] = _INK) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
