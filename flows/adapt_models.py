"""The flow `adapt-models`: fits a restorer to an archive's own videos and reports what it gained.

The same work as `restore-archive adapt`; here on a worker, on request.
"""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from deblur_core.errors import SettingsError
from flows.commands.adapt import adaptation_request, lines
from flows.settings import resolve_settings


@flow(
    name="adapt-models",
    description="Fits a restorer to unlabelled videos and keeps the result only if it is better.",
    retries=0,
)
def adapt_models(
    restorer: str = "default",
    videos: str | None = None,
    out: str | None = None,
    iterations: int = 200,
    frames: int = 3,
    device: str | None = None,
    seed: int = 1,
    teacher: str | None = None,
) -> dict[str, Any]:
    """Adapts `restorer` to `videos` (left out: RESTORE_SOURCE) and writes the weights to `out`, .safetensors.

    teacher: a restorer to learn from, "none", or left out for the one that suits. Returns the report that is written
    beside them; a refused result writes nothing and is no failure. Raises UsageError before anything is read.
    """
    from deblur_core.adaptation.run import adapt_restorer

    place = videos or resolve_settings().source
    if place is None or out is None:
        missing = "videos" if place is None else "out"
        raise SettingsError(f"adapt-models: no {missing} given: add --param {missing}=…")
    report = adapt_restorer(adaptation_request(restorer, place, out, iterations, frames, device, seed, teacher))
    create_markdown_artifact("\n\n".join(lines(report)), key="adaptation")
    return report
