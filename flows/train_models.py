"""The flow `train-models`: trains restorers one after the other, each within its budget, and reports their curves.

A training that was cut off goes on where it stopped when the flow runs again.
"""

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from deblur_core.errors import UsageError
from deblur_core.models.registry import find_restorer


@flow(
    name="train-models", description="Trains restorers on sharp material, each within a budget of minutes.", retries=0
)
def train_models(
    names: list[str], data: list[str], out: str, minutes: float = 60.0, device: str = "auto", seed: int = 1
) -> dict[str, Any]:
    """Trains each of `names` for `minutes` on the folders `data`; results lie in `out`/<name>.

    Returns what `training.json` says of each. Raises SettingsError for an unknown name before anything is trained.
    """
    if not names:
        raise UsageError("train-models: name at least one restorer")
    for name in names:
        find_restorer(name)
    results = {name: train_one(name, data, out, minutes, device, seed) for name in names}
    rows = [
        f"| {name} | {result['steps']} | {result['held_out_before_db']:.2f} | {result['held_out_after_db']:.2f} |"
        for name, result in results.items()
    ]
    table = ["| restorer | steps | before, dB | after, dB |", "| --- | --- | --- | --- |", *rows]
    create_markdown_artifact("\n".join(table), key="training")
    return results


@task(name="train-one", retries=1, retry_delay_seconds=10, cache_policy=NO_CACHE, persist_result=False)
def train_one(name: str, data: list[str], out: str, minutes: float, device: str, seed: int) -> dict[str, Any]:
    """One training, in this process."""
    import json

    from deblur_core.training.run import TrainingRequest, train_restorer
    from deblur_core.training.schedule import Budget

    logger = get_run_logger()
    folder = Path(out) / name
    request = TrainingRequest(
        name, [Path(place) for place in data], folder, Budget(seconds=minutes * 60.0), Path(out) / "work", seed, device
    )
    train_restorer(request, lambda row: logger.info(f"{name}: {row}"), resume=True)
    result: dict[str, Any] = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return result
