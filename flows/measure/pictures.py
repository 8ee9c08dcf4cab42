"""A picture for docs/models.md: details of the demonstration's archive, blurred, by each restorer, and in truth."""

from pathlib import Path

import cv2
import numpy as np

from deblur_core.errors import UsageError
from deblur_core.metrics import psnr
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.registry import RESTORERS, load_restorer
from deblur_core.models.restorer import window_in
from deblur_core.video.colour import to_rgb
from deblur_core.video.source import open_input
from flows.demo.archive import read_labels, truth_path

_DETAIL, _SHOWN, _CAPTION, _COLUMNS = 150, 300, 26, 4
_PAPER, _INK = 250, (38, 34, 34)


def measure_pictures(demo: Path, out: Path) -> int:
    """Restores one frame of each blurred video in `demo` (what `make demo` leaves) by every restorer; writes `out`.

    Raises UsageError where the demonstration has not been run. Returns 0.
    """
    if not (demo / "truth" / "labels.json").is_file():
        raise UsageError(f"{demo} holds no demonstration: run make demo first, or name its folder with --demo")
    rows = [_row(demo, video, labels) for video, labels in read_labels(demo).items() if labels.any()]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 88]
    if not cv2.imwrite(str(out), np.vstack(rows)[..., ::-1], quality):
        raise UsageError(f"{out}: the picture could not be written")
    return 0


def _row(demo: Path, video: str, labels: np.ndarray) -> np.ndarray:
    frames, truth = _decode(demo / "archive" / video), _decode(truth_path(demo, video))
    scores = np.array([psnr(*pair) for pair in zip(frames, truth, strict=True)])
    blurred = np.flatnonzero(labels)
    # The median: neither the easiest nor the hardest.
    number = int(blurred[np.argsort(scores[blurred], kind="stable")[len(blurred) // 2]])
    detail = _detail(frames[number], truth[number])
    cells = [_cell(f"blurred {scores[number]:.1f} dB", frames[number], detail)]
    for name in RESTORERS:
        restored = _restore(load_restorer(name), frames, labels, number)
        cells.append(_cell(f"{name} {psnr(restored, truth[number]):.1f} dB", restored, detail))
    cells.append(_cell("truth", truth[number], detail))
    empty = np.full_like(cells[0], _PAPER)
    cells += [empty] * (-len(cells) % _COLUMNS)
    return np.vstack([np.hstack(cells[at : at + _COLUMNS]) for at in range(0, len(cells), _COLUMNS)])


def _restore(restorer: NetworkRestorer, frames: list[np.ndarray], labels: np.ndarray, number: int) -> np.ndarray:
    return restorer.restore_frame(window_in(frames, number, labels, restorer.needs))


def _decode(path: Path) -> list[np.ndarray]:
    with open_input(path, path.name) as container:
        return [to_rgb(frame) for frame in container.decode(video=0)]


def _detail(blurred: np.ndarray, truth: np.ndarray) -> tuple[slice, slice]:
    """The square that blur changed most."""
    change = np.abs(blurred.astype(np.float32) - truth).mean(axis=2)
    totals = cv2.boxFilter(change, -1, (_DETAIL, _DETAIL), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    inside = totals[: -_DETAIL or None, : -_DETAIL or None]
    row, column = (int(place) for place in np.unravel_index(int(np.argmax(inside)), inside.shape))
    return slice(row, row + _DETAIL), slice(column, column + _DETAIL)


def _cell(caption: str, frame: np.ndarray, detail: tuple[slice, slice]) -> np.ndarray:
    cell = np.full((_CAPTION + _SHOWN + 8, _SHOWN + 8, 3), _PAPER, np.uint8)
    shown = cv2.resize(frame[detail], (_SHOWN, _SHOWN), interpolation=cv2.INTER_CUBIC)
    cell[_CAPTION : _CAPTION + _SHOWN, 4 : 4 + _SHOWN] = shown
    cv2.putText(cell, caption, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return cell
