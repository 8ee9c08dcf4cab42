"""One training of one restorer, from a folder of sharp material to weights: data, samples, network, trainer together.

`OUT/` holds checkpoint, weights, curve and a JSON of what was done; `OUT/work/` decoded clips and samples, which
trainings may share. Knows no command line and no flow.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from deblur_core.errors import UsageError
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import fill_network
from deblur_core.models.precision import pick_device
from deblur_core.models.registry import RestorerEntry, build_network, find_restorer
from deblur_core.output_place import check_folder_place
from deblur_core.synthesis.samples import SampleSettings
from deblur_core.training.library import build_library
from deblur_core.training.recipes import Recipe, find_recipe
from deblur_core.training.schedule import Budget
from deblur_core.training.stock import ShotRestorer, Stock, StockPlan
from deblur_core.training.trainer import Trainer, TrainingSettings

SAMPLES = 4096
VALIDATION_SAMPLES = 48
_VALIDATION_SEED = 20260


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained, on what, for how long. work: shared by trainings that see the same data.

    start_from: weights to go on from with a new schedule; samples: size of the stock (about 1 MiB each on disk);
    shots: half of them are cut from whole partly blurred shots, restored by the weights that are gone on from.
    """

    name: str
    data: Sequence[Path]
    out: Path
    budget: Budget
    work: Path | None = None
    seed: int = 1
    device: str = "auto"
    threads: int = 2
    workers: int = 1
    samples: int = SAMPLES
    published: bool = False
    peak_rate: float | None = None
    start_from: Path | None = None
    shots: bool = False


def train_restorer(request: TrainingRequest, report: Callable[[dict[str, float]], None], resume: bool) -> Path:
    """Trains and returns the path of the weights (half precision, moving average).

    resume: go on from the checkpoint in `out`, if there is one. Raises SettingsError for an unknown name, UsageError
    for data, a place or a budget that will not do, WeightsError for weights or a checkpoint of another network.
    """
    entry, recipe = find_restorer(request.name), find_recipe(request.name, request.published)
    if request.peak_rate:
        recipe = replace(recipe, peak_rate=request.peak_rate)
    if request.shots and not (request.start_from and entry.needs.sharp_references):
        raise UsageError(
            "samples cut from shots need weights that restore them, of a restorer that sees sharp neighbours: "
            "give --start-from, or leave --shots out"
        )
    if request.threads < 1:
        raise UsageError(f"--threads must be at least 1, not {request.threads}")
    if request.seed < 0:
        raise UsageError(f"--seed must be at least 0, not {request.seed}")
    device = pick_device(request.device)
    check_folder_place(request.out)
    network = fresh_network(entry, request.seed)
    if request.start_from:
        fill_network(network, request.start_from)
    work = request.work or request.out / "work"
    library = work / "library"
    build_library(request.data, library)
    request.out.mkdir(parents=True, exist_ok=True)
    validation = _validation(work, library, recipe, network)
    plan = plan_samples(recipe, network, request.samples, request.seed)
    shot_restorer = ShotRestorer(request.name, request.start_from) if request.shots and request.start_from else None
    if shot_restorer:
        plan = shot_restorer.plan(plan)
    with Stock(_place(work, plan), library, plan, request.workers, shot_restorer) as stock:
        trainer = Trainer(
            network,
            recipe,
            stock,
            validation,
            request.out,
            request.budget,
            TrainingSettings(seed=request.seed, threads=request.threads),
            device,
        )
        if resume:
            trainer.resume()
        weights = trainer.train(report)
    _describe(request, trainer, weights)
    return weights


def fresh_network(entry: RestorerEntry, seed: int) -> RestorationNetwork:
    """An untrained network, whose first weights the seed draws: torch seeds itself anew in each process."""
    torch.manual_seed(seed)
    return build_network(entry)


def plan_samples(recipe: Recipe, network: RestorationNetwork, samples: int, seed: int) -> StockPlan:
    """What a stock for this network and recipe holds."""
    settings = SampleSettings(patch=recipe.patch, window=network.frames, truths=network.outputs)
    return StockPlan(samples, seed, settings, network.references)


def _validation(work: Path, library: Path, recipe: Recipe, network: RestorationNetwork) -> np.ndarray:
    """Blurred samples of the held-out clips, the same for every training of this network."""
    plan = plan_samples(recipe, network, VALIDATION_SAMPLES, _VALIDATION_SEED)
    plan = replace(
        plan, settings=replace(plan.settings, share_sharp=0.0), drop_references=0.0, guided=0.0, held_out=True
    )
    with Stock(_place(work, plan), library, plan, 1) as stock:
        stock.wait_for(plan.samples)
        return np.array(stock.planes)


def _place(work: Path, plan: StockPlan) -> Path:
    """A folder for each plan: trainings of one plan share their samples."""
    return work / f"samples-{sha256(plan.described().encode()).hexdigest()[:12]}"


def _describe(request: TrainingRequest, trainer: Trainer, weights: Path) -> None:
    row = trainer.curve.rows[-1]
    described = {
        "name": request.name,
        "seed": request.seed,
        "steps": trainer.progress.step,
        "minutes": round(trainer.progress.elapsed_seconds / 60.0, 1),
        "device": str(trainer.device),
        "threads": request.threads,
        "precision": str(trainer.dtype).removeprefix("torch."),
        "patch": trainer.recipe.patch,
        "batch": trainer.recipe.batch,
        "peak_rate": trainer.recipe.peak_rate,
        "published_recipe": request.published,
        "started_from": str(request.start_from.name) if request.start_from else None,
        "shots": request.shots,
        "held_out_before_db": row["before_db"],
        "held_out_after_db": row["after_db"],
        "sha256": sha256(weights.read_bytes()).hexdigest(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    path = request.out / "training.json"
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
