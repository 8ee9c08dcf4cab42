"""Trains every variant of the papers' ablations and scores it: `python -m flows.measure ablations`.

Equal steps, not equal time: every variant sees the same batches in the same order as the others, and the clock of a
shared machine decides nothing; what each cost in processor time stands beside its score. The minutes asked for are
those of each study's reference. A variant that is done is not trained again.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console

from deblur_core.errors import UsageError
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.training.library import build_library
from deblur_core.training.stock import Stock, StockPlan
from deblur_core.training.variants import middle_planes, score_variant, stock_for, train_variant
from flows.measure.ablations.adaptation import NOTE, PAPER, TABLES, adapt_variants
from flows.measure.ablations.report import Line, Scores, as_json, compare, markdown, show
from flows.measure.ablations.studies import PATCH, Study, Variant, studies

SAMPLES, VALIDATION_SAMPLES = 480, 96
_SEED, _CONTROL_SEED, _VALIDATION_SEED = 1, 2, 20260
_FRAMES = 7
_LEAST_STEPS = 4
_CALIBRATION_STEPS = 10
_MOST_BLUR_PIXELS = 10.0


def measure_ablations(
    data: Sequence[Path],
    work: Path,
    minutes_each: float | None,
    steps: int | None,
    only: Sequence[str] = (),
    samples: int = SAMPLES,
    validation: int = VALIDATION_SAMPLES,
) -> int:
    """Prints the tables; writes `ablations.json` and `ablations.md` into `work`. Returns 0.

    minutes_each: processor time that each study's reference is trained for; steps: exactly so many instead. Raises
    UsageError for an unknown paper, a budget that is none, or a `work` that holds results of another budget.
    """
    known = studies()
    papers = list(only) or [*known, PAPER]
    unknown = [paper for paper in papers if paper not in known and paper != PAPER]
    if unknown:
        raise UsageError(f"no ablation of {unknown[0]!r}: there is {', '.join([*known, PAPER])}")
    if (minutes_each is None) == (steps is None) or (minutes_each or steps or 0) <= 0:
        raise UsageError("give the budget of each training as --minutes-each M or as --steps N, more than nothing")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    budget = {"minutes_each": minutes_each, "steps": steps, "samples": samples, "validation": validation}
    _require_budget(work, budget)
    library = work / "library"
    build_library(data, library)
    console, lines, notes = Console(width=160), [], {}
    for paper in papers:
        if paper == PAPER:
            scores = adapt_variants(library, work / paper, minutes_each, steps, _say)
            lines += [line for table in TABLES for line in compare(paper, table, scores, None, "")]
            notes[paper] = NOTE
        else:
            lines += _measure(known[paper], work, library, minutes_each, steps, samples, validation)
            notes[paper] = known[paper].note
        (work / "ablations.json").write_text(json.dumps({"budget": budget, "rows": as_json(lines)}, indent=1))
        (work / "ablations.md").write_text(markdown(lines, notes), encoding="utf-8")
    show(lines, notes, console)
    return 0


def _measure(
    study: Study,
    work: Path,
    library: Path,
    minutes_each: float | None,
    steps: int | None,
    samples: int,
    validation: int,
) -> list[Line]:
    folder = work / study.paper
    control = f"{study.control}, seed {_CONTROL_SEED}"
    wanted = {name: (variant, _SEED) for name, variant in study.variants.items()}
    wanted[control] = (study.variants[study.control], _CONTROL_SEED)
    missing = [name for name in wanted if not _result(folder, name).exists()]
    if missing:
        learnt, judged = _plans(study, samples, validation)
        with (
            Stock(work / f"samples-{study.sees}", library, learnt, 1) as learn,
            Stock(work / f"validation-{study.sees}", library, judged, 1) as judge,
        ):
            judge.wait_for(validation)
            learn.wait_for(samples)
            steps = steps or _steps(study, folder, learn, minutes_each or 0.0)
            for name in missing:
                _train_and_score(name, *wanted[name], folder, learn, judge, steps)
    scores = {name: read_scores(_result(folder, name)) for name in wanted}
    return [
        line for table in study.tables for line in compare(study.paper, table, scores, scores[control], study.control)
    ]


def _plans(study: Study, samples: int, validation: int) -> tuple[StockPlan, StockPlan]:
    """What is learnt from, and what is judged on: blurred samples of the held-out clips."""
    window = _FRAMES if study.sees == "frames" else 1
    settings = SampleSettings(patch=PATCH, most_blur_pixels=_MOST_BLUR_PIXELS, window=window, truths=_FRAMES)
    learnt = StockPlan(samples, _SEED, settings, references=0)
    judged = replace(
        learnt,
        samples=validation,
        seed=_VALIDATION_SEED,
        settings=replace(settings, share_sharp=0.0),
        drop_references=0.0,
        guided=0.0,
        held_out=True,
    )
    return learnt, judged


def _result(folder: Path, name: str) -> Path:
    return folder / f"{name.replace('/', '').replace(' ', '-')}.json"


def _train_and_score(
    name: str, variant: Variant, seed: int, folder: Path, learn: Stock, judge: Stock, steps: int
) -> None:
    """Writes the result of one variant."""
    result = _result(folder, name)
    torch.manual_seed(seed)
    network = variant.build()
    planes = middle_planes(judge.planes, judge.plan, network.frames, network.outputs)
    place = result.with_suffix("")
    seconds = train_variant(network, variant.recipe, stock_for(network, learn), planes, place, steps, seed)
    scored = score_variant(network, planes)
    described = {
        "steps": steps,
        "seconds": round(seconds, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "before_db": scored.before_db.tolist(),
        "psnr_db": scored.after_db.tolist(),
        "steepness": scored.steepness.tolist(),
    }
    result.write_text(json.dumps(described), encoding="utf-8")
    _say(f"{folder.name}: {name}: {scored.before_db.mean():.2f} → {scored.after_db.mean():.2f} dB, {seconds:.0f} s")


def read_scores(path: Path) -> Scores:
    """What a variant's JSON holds."""
    held = json.loads(path.read_text(encoding="utf-8"))
    return Scores(
        np.array(held["psnr_db"]), np.array(held["steepness"]), held["steps"], held["seconds"], held["parameters"]
    )


def _steps(study: Study, folder: Path, learn: Stock, minutes: float) -> int:
    """How many steps the study's reference takes in that time; found once and kept."""
    path = folder / "steps.json"
    if not path.exists():
        variant = study.variants[study.control]
        seconds = []
        for count in (1, 1 + _CALIBRATION_STEPS):  # the difference: what surrounds the steps is not counted
            network = variant.build()
            stock = stock_for(network, learn)
            place = folder / f"calibration-{count}"
            seconds.append(train_variant(network, variant.recipe, stock, stock.planes, place, count, _SEED))
        steps = max(int(minutes * 60.0 * _CALIBRATION_STEPS / (seconds[1] - seconds[0])), _LEAST_STEPS)
        path.write_text(json.dumps(steps))
    return int(json.loads(path.read_text()))


def _require_budget(work: Path, budget: Mapping[str, float | None]) -> None:
    """Variants of different budgets must not stand in one table."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "budget.json"
    if path.exists() and json.loads(path.read_text()) != budget:
        raise UsageError(f"{work} holds results of another budget ({path.read_text()}): choose another --work")
    path.write_text(json.dumps(budget))


def _say(what: str) -> None:
    Console(stderr=True).print(f"{time.strftime('%H:%M:%S')} {what}", highlight=False)
