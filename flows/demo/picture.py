"""Draws what happened: for each video a typical blurred frame before, after and in truth, with a detail enlarged, and a
strip that shows which frames were blurred and which were found.

Knows pictures and judgements, not how either came about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from flows.demo.judge import Judgement, triples

_WIDTH, _GUTTER = 600, 12
_PAPER, _INK, _GREY = (250, 250, 248), (34, 34, 38), (120, 120, 126)
_MARK, _SHARP, _BLURRED = (255, 200, 0), (176, 202, 178), (196, 84, 62)
_DETAIL_SHARE = 4


@dataclass(frozen=True)
class _Example:
    """A frame of a video, before, after and in truth, each uint8 RGB [H, W, 3]."""

    number: int
    pictures: tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(directory: Path, judgements: Sequence[Judgement]) -> np.ndarray:
    """The whole picture, uint8 RGB: a row for each video that could be measured."""
    rows = [_row(directory, judgement) for judgement in judgements if judgement.measured]
    return np.vstack(rows) if rows else np.full((64, 640, 3), _PAPER, np.uint8)


def typical_frame(judgement: Judgement) -> int | None:
    """The blurred frame whose gain is the median: neither the best nor the worst. None where no frame is blurred."""
    blurred = np.flatnonzero(judgement.labels)
    if not len(blurred):
        return None
    gain = (judgement.after_db - judgement.before_db)[blurred]
    return int(blurred[np.argsort(gain, kind="stable")[len(blurred) // 2]])


def write_png(path: Path, picture: np.ndarray) -> None:
    """Writes uint8 RGB. Raises OSError where the file cannot be written."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ValueError(f"{path}: the picture could not be encoded")
    path.write_bytes(data.tobytes())


def _row(directory: Path, judgement: Judgement) -> np.ndarray:
    number = None if judgement.copied else typical_frame(judgement)
    parts = [_heading(judgement)]
    if number is not None:
        parts.append(_panels(_example(directory, judgement.video, number), judgement))
    parts.append(_strip(judgement))
    return np.vstack(parts)


def _example(directory: Path, video: str, wanted: int) -> _Example:
    for number, before, after, truth in triples(directory, video):
        if number == wanted:
            return _Example(number, (before, after, truth))
    raise ValueError(f"{video} has no frame {wanted}")


def _heading(judgement: Judgement) -> np.ndarray:
    heading = _paper(46)
    _write(heading, judgement.video, (_GUTTER, 33), 0.8, _INK, 2)
    return heading


def _panels(example: _Example, judgement: Judgement) -> np.ndarray:
    """Three columns: the frame with the detail's place marked, beneath it the detail enlarged."""
    number = example.number
    x, y, width, height = _detail(example.pictures[0], example.pictures[2])
    before, after = judgement.before_db[number], judgement.after_db[number]
    captions = (
        f"before   frame {number}   {before:.1f} dB",
        f"after   {after:.1f} dB ({after - before:+.1f})",
        "truth",
    )
    columns = []
    for picture, caption in zip(example.pictures, captions, strict=True):
        marked = picture.copy()
        cv2.rectangle(marked, (x, y), (x + width, y + height), _MARK, 2)
        detail = picture[y : y + height, x : x + width]
        title = _paper(34, _WIDTH)
        _write(title, caption, (0, 23), 0.6, _INK, 1)
        columns.append(np.vstack([title, _to_width(marked), _paper(8, _WIDTH), _to_width(detail)]))
    gutter = _paper(columns[0].shape[0], _GUTTER)
    return np.hstack([gutter, columns[0], gutter, columns[1], gutter, columns[2], gutter])


def _detail(before: np.ndarray, truth: np.ndarray) -> tuple[int, int, int, int]:
    """x, y, width, height of the part that blur changed most, a quarter of the frame's sides, away from its border."""
    height, width = truth.shape[:2]
    size = width // _DETAIL_SHARE, height // _DETAIL_SHARE
    change = np.abs(before.astype(np.float32) - truth.astype(np.float32)).mean(axis=2)
    totals = cv2.boxFilter(np.sqrt(change), -1, size, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    left, top = width // 16, height // 16
    inside = totals[top : height - size[1] - top, left : width - size[0] - left]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return left + int(column), top + int(row), *size


def _strip(judgement: Judgement) -> np.ndarray:
    """Two bars over the video's length, truth above and what was found below, a field a frame; and the sum in words."""
    strip = _paper(104)
    left, right = _GUTTER + 70, strip.shape[1] - _GUTTER
    edges = np.linspace(left, right, len(judgement.labels) + 1).round().astype(int)
    for top, name, labels in ((14, "truth", judgement.labels), (38, "found", judgement.found)):
        _write(strip, name, (_GUTTER, top + 16), 0.55, _GREY, 1)
        for start, stop, blurred in zip(edges[:-1], edges[1:], labels, strict=True):
            strip[top : top + 20, start : stop - 1] = _BLURRED if blurred else _SHARP
    _write(strip, _in_words(judgement), (left, 86), 0.55, _GREY, 1)
    return strip


def _in_words(judgement: Judgement) -> str:
    copied = ", published as a byte copy of its source" if judgement.copied else ""
    if not judgement.labels.any():
        return f"sharp throughout: {_counted(judgement.false_alarms)}{copied}"
    mean = judgement.mean_db
    quality = f"; PSNR of blurred frames {mean[0]:.2f} to {mean[1]:.2f} dB" if mean else copied
    return (
        f"{judgement.labels.sum()} of {len(judgement.labels)} frames blurred: {judgement.hits} found, "
        f"{judgement.missed} missed, {_counted(judgement.false_alarms)}{quality}"
    )


def _counted(false_alarms: int) -> str:
    return f"{false_alarms} false alarm{'s' * (false_alarms != 1)}"


def _paper(height: int, width: int = 3 * _WIDTH + 4 * _GUTTER) -> np.ndarray:
    return np.full((height, width, 3), _PAPER, np.uint8)


def _to_width(picture: np.ndarray) -> np.ndarray:
    height = round(picture.shape[0] * _WIDTH / picture.shape[1])
    smaller = picture.shape[1] > _WIDTH
    return cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _write(
    picture: np.ndarray, text: str, at: tuple[int, int], size: float, ink: tuple[int, int, int], weight: int
) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, weight, cv2.LINE_AA)
