"""The course of a training run: as a table for any Parquet tool, and as a picture for a person."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 900, 480, 70, 50, 40
_INK, _GRID = (40, 40, 40), (225, 225, 225)
_LINES = {"before_db": (150, 150, 150), "after_db": (180, 90, 20)}


class Curve:
    """rows: step, seconds, loss (the recipe's own, running mean), PSNR before and after on held-out patches, dB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []

    def load(self, rows: Sequence[dict[str, float]]) -> None:
        """Goes on from the rows of a checkpoint."""
        self.rows = [dict(row) for row in rows]

    def save(self) -> None:
        """Writes `curve.parquet` and `curve.png`, each whole or not there."""
        if not self.rows:
            return
        table, picture = self.folder / "curve.parquet", self.folder / "curve.png"
        draft = table.with_name("curve.parquet.part")
        pq.write_table(pa.Table.from_pylist(self.rows), draft)
        draft.replace(table)
        draft = picture.with_name("curve.part.png")
        cv2.imwrite(str(draft), draw(self.rows))
        draft.replace(picture)


def draw(rows: Sequence[dict[str, float]]) -> np.ndarray:
    """PSNR before and after over the steps: BGR uint8 [480, 900, 3]."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    steps = np.array([row["step"] for row in rows])
    values = np.array([[row[name] for name in _LINES] for row in rows])
    low, high = np.floor(values.min() * 2) / 2, np.ceil(values.max() * 2 + 0.01) / 2
    last = max(float(steps[-1]), 1.0)

    def place(step: float, value: float) -> tuple[int, int]:
        x = _LEFT + step / last * (_WIDTH - _LEFT - 30)
        return round(x), round(_HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP))

    for value in np.linspace(low, high, 6):
        y = place(0, float(value))[1]
        cv2.line(canvas, (_LEFT, y), (_WIDTH - 30, y), _GRID, 1, cv2.LINE_AA)
        _write(canvas, f"{value:.1f}", (_LEFT - 55, y + 5))
    for share in np.linspace(0.0, 1.0, 6):
        x = place(share * last, low)[0]
        _write(canvas, f"{share * last:.0f}", (x - 15, _HEIGHT - _BOTTOM + 22))
    for column, (name, colour) in enumerate(_LINES.items()):
        points = np.array(
            [place(float(step), float(value)) for step, value in zip(steps, values[:, column], strict=True)]
        )
        cv2.polylines(canvas, [points.reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA)
        _write(canvas, name.removesuffix("_db"), (_LEFT + 10 + 90 * column, _TOP - 15), colour)
    _write(canvas, "PSNR on held-out patches, dB", (_LEFT + 220, _TOP - 15))
    _write(canvas, "steps", (_WIDTH // 2, _HEIGHT - 10))
    return canvas


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int] = _INK) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
