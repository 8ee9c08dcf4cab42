"""`restore-archive train`: teaches a restorer on sharp videos and photographs, within a budget of minutes."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from deblur_core.errors import UsageError
from deblur_core.models.registry import RESTORERS
from deblur_core.output_place import writing_explained


def train(
    name: str | None,
    data: Sequence[Path],
    out: Path | None,
    minutes: float | None,
    steps: int | None,
    *,
    resume: bool,
    published: bool,
    device: str,
    seed: int,
    threads: int,
    samples: int,
    peak_rate: float | None,
    start_from: Path | None,
    shots: bool,
    as_json: bool,
) -> int:
    """Trains NAME and says where its weights, its checkpoint and its curve lie. Returns the exit code."""
    if name is None:
        raise UsageError(f"name a restorer to train: {', '.join(RESTORERS)} (train --list says what each needs)")
    if not data:
        raise UsageError("say what to learn from: --data FOLDER with sharp videos and photographs (may be given again)")
    if (minutes is None) == (steps is None):
        raise UsageError("give the budget as --minutes M, or as --steps N")
    if not 0 < (minutes if minutes is not None else steps or 0) < math.inf:
        raise UsageError("the budget must be more than nothing: --minutes 60")
    if samples < 1:
        raise UsageError("--samples must be at least 1: 4096 is a good number")
    if peak_rate is not None and not 0.0 < peak_rate < 1.0:
        raise UsageError(f"--peak-rate {peak_rate:g} is no learning rate: give one between 0 and 1, such as 0.0005")
    folder = out or Path("training") / name
    if (folder / "checkpoint.safetensors").exists() and not resume:
        raise UsageError(f"{folder} holds a training already: --resume goes on with it, or choose another --out")

    from deblur_core.training.run import TrainingRequest, train_restorer
    from deblur_core.training.schedule import Budget

    request = TrainingRequest(
        name,
        data,
        folder,
        Budget(minutes * 60.0 if minutes is not None else None, steps),
        seed=seed,
        device=device,
        threads=threads,
        samples=samples,
        published=published,
        peak_rate=peak_rate,
        start_from=start_from,
        shots=shots,
    )
    console = Console(file=sys.stderr if as_json else sys.stdout)

    def say(row: dict[str, float]) -> None:
        console.print(
            f"step {row['step']:.0f}, {row['seconds'] / 60.0:.1f} min, held-out patches "
            f"{row['before_db']:.2f} → {row['after_db']:.2f} dB",
            highlight=False,
        )

    with writing_explained(folder):
        weights = train_restorer(request, say, resume)
    if as_json:
        print(json.dumps(json.loads((folder / "training.json").read_text(encoding="utf-8"))))  # noqa: T201
    else:
        console.print(f"weights: {weights}; the curve: {folder / 'curve.png'}", highlight=False, soft_wrap=True)
    return 0


def list_recipes() -> int:
    """Prints what each restorer's training needs. Returns the exit code."""
    from deblur_core.models.registry import build_network
    from deblur_core.training.recipes import PUBLISHED, RECIPES
    from deblur_core.training.run import SAMPLES, plan_samples

    heads = ("sees", "gives", "patch", "batch", "parameters", "GiB of samples", "minutes given", "published")
    table = Table(Column("name", no_wrap=True), *heads)
    for entry in RESTORERS.values():
        recipe = RECIPES.get(entry.name)
        if recipe is None:
            continue
        network = build_network(entry)
        plan = plan_samples(recipe, network, SAMPLES, seed=1)
        sees = f"{network.frames} + {network.references} sharp" if network.references else f"{network.frames}"
        table.add_row(
            entry.name, sees, str(network.outputs), f"{recipe.patch}²", str(recipe.batch),
            f"{entry.parameters / 1e6:.1f} M", f"{plan.samples * plan.side**2 * plan.channels / 2**30:.1f}",
            f"{recipe.minutes:.0f}", "yes" if entry.name in PUBLISHED else "",
        )  # fmt: skip
    Console().print(table)
    return 0
