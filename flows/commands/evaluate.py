"""`restore-archive evaluate`: what a restorer gains on pairs of blurred and sharp frames, by sequence and over all.

The restorer is judged by itself: in a run, a frame that it makes worse is rejected and the original kept.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deblur_core.pairs.ecc_alignment import NAME as ALIGNMENT
from deblur_core.pairs.evaluation import PairScore, label_sequence, score_sequence
from deblur_core.pairs.frame_pairs import PairedSet
from deblur_core.pairs.picture_file import check_sizes
from deblur_core.pairs.sets import AUTO, find_pairs
from flows.settings import Settings, resolve_settings

METRICS = "PSNR: RGB, 8 bit, no crop. SSIM: Gaussian window of 11 pixels, mean over RGB. Both are means over frames."
METRICS_ALIGNED = (
    f"PSNR: RGB. SSIM: Gaussian window of 11 pixels, mean over RGB. Both are means over frames, each brought onto its "
    f"truth first ({ALIGNMENT} after one factor of brightness), not rounded again, and cut to what the two share."
)


@dataclass(frozen=True)
class Figures:
    """Means over frames; PSNR over those that are not `identical` to their truth, before or after (None: there are no
    others). worse: share of all frames whose PSNR fell; unaligned: frames scored as they are despite --align."""

    frames: int
    blurred: int
    psnr_before_db: float | None
    psnr_after_db: float | None
    gain_db: float | None
    ssim_before: float
    ssim_after: float
    worse: float
    identical: int
    unaligned: int


def evaluate(
    restorer: str,
    pairs: Path,
    set_name: str | None,
    single: bool,
    align: bool,
    selector: str | None,
    device: str | None,
    as_json: bool,
    weights: str | None = None,
) -> int:
    """Restores and scores every pair under `pairs`. Returns the exit code; raises UsageError before anything is
    restored where names and headers tell what is wrong."""
    settings = resolve_settings(restorer=restorer, weights=weights, selector=selector, device=device)
    paired = find_pairs(pairs, set_name or AUTO, single)
    check_sizes(paired.sequences)
    scored = _score(paired, settings, align, labelled=selector is not None)
    rows = [(name, figures(scores)) for name, scores in scored]
    overall = figures([score for _, scores in scored for score in scores])
    if as_json:
        report = {
            "restorer": settings.restorer,
            "folder": str(pairs),
            "set": paired.set_name,
            "part": paired.part,
            "unpaired": paired.unpaired,
            "selector": selector,
            "alignment": ALIGNMENT if align else None,
            **asdict(overall),
            "sequences": [{"sequence": name, **asdict(row)} for name, row in rows],
        }
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        _print(paired, settings, rows, overall, align, selector)
    return 0


def figures(scores: Sequence[PairScore]) -> Figures:
    """Figures of scored frames, of which there is at least one."""
    finite = [score for score in scores if np.isfinite([score.psnr_before, score.psnr_after]).all()]
    before = float(np.mean([score.psnr_before for score in finite])) if finite else None
    after = float(np.mean([score.psnr_after for score in finite])) if finite else None
    return Figures(
        frames=len(scores),
        blurred=sum(score.blurred for score in scores),
        psnr_before_db=before,
        psnr_after_db=after,
        gain_db=None if before is None or after is None else after - before,
        ssim_before=float(np.mean([score.ssim_before for score in scores])),
        ssim_after=float(np.mean([score.ssim_after for score in scores])),
        worse=float(np.mean([score.worse for score in scores])),
        identical=len(scores) - len(finite),
        unaligned=sum(score.unaligned for score in scores),
    )


def _score(paired: PairedSet, settings: Settings, align: bool, labelled: bool) -> list[tuple[str, list[PairScore]]]:
    """Scores by the name of their sequence; a bar on stderr where a person is looking."""
    from deblur_core.models.registry import load_restorer, load_selector

    restorer = load_restorer(settings.restorer, settings.device, settings.weights)
    selector = load_selector(settings.selector) if labelled else None
    console = Console(stderr=True)
    scored = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{settings.restorer} on {paired.set_name}", total=paired.pair_count)
        for sequence in paired.sequences:
            labels = None if selector is None else label_sequence(selector, sequence, settings.threshold)
            scores: list[PairScore] = []
            for score in score_sequence(restorer, sequence, labels, align):
                scores.append(score)
                progress.advance(task)
            scored.append((sequence.name, scores))
    return scored


def _print(
    paired: PairedSet,
    settings: Settings,
    rows: list[tuple[str, Figures]],
    overall: Figures,
    align: bool,
    selector: str | None,
) -> None:
    console = Console()
    title = f"{settings.restorer} on {paired.set_name}" + (f", {paired.part}" if paired.part else "")
    columns = ("frames", "PSNR before dB", "after dB", "gain dB", "SSIM before", "after", "worse")
    table = Table("sequence", *columns, title=title + (f", scored after alignment ({ALIGNMENT})" if align else ""))
    for name, row in rows:
        table.add_row(name, *_cells(row))
    if len(rows) > 1:
        table.add_section()
        table.add_row("all", *_cells(overall))
    console.print(table)
    console.print(METRICS_ALIGNED if align else METRICS)
    for note in _notes(paired, settings, overall, align, selector):
        console.print(note)


def _cells(row: Figures) -> list[str]:
    def decibels(value: float | None, sign: str = "") -> str:
        return "same" if value is None else f"{value:{sign}.2f}"

    return [
        str(row.frames),
        decibels(row.psnr_before_db),
        decibels(row.psnr_after_db),
        decibels(row.gain_db, "+"),
        f"{row.ssim_before:.4f}",
        f"{row.ssim_after:.4f}",
        f"{row.worse:.1%}",
    ]


def _notes(paired: PairedSet, settings: Settings, overall: Figures, align: bool, selector: str | None) -> list[str]:
    """What must be known to read the table, a line each."""
    from deblur_core.models.registry import find_restorer

    notes = []
    if selector is not None:
        notes.append(f"The selector {selector} called {overall.blurred} of {overall.frames} frames blurred.")
    else:
        notes.append("Every frame counts as blurred.")
        video = any(not sequence.photographs for sequence in paired.sequences)
        if video and find_restorer(settings.restorer).needs.sharp_references:
            notes.append(f"So {settings.restorer} has no sharp frame to look at; --selector shows it those there are.")
    if overall.identical:
        notes.append(f"{overall.identical} frames are identical to their truth and left out of the mean PSNR.")
    if paired.unpaired:
        notes.append(f"{paired.unpaired} pictures have no partner and were left out.")
    if overall.unaligned:
        notes.append(f"{overall.unaligned} frames could not be aligned and are scored as they are.")
    if paired.set_name == "realblur" and not align:
        notes.append("RealBlur is usually scored after alignment: --align.")
    return notes
