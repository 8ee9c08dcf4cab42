"""What a run shows of itself in Prefect. Nothing of it is needed for the work: a server that does not take it, because
it was restarted or is gone, ends no run.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

log = logging.getLogger(__name__)


def begin_progress(description: str) -> UUID | None:
    """None where it could not be begun."""
    with _not_needed():
        return create_progress_artifact(progress=0.0, description=description)  # type: ignore[return-value]
    return None


def show_progress(artifact: UUID | None, percent: float) -> None:
    """percent: 0 to 100."""
    if artifact is not None:
        with _not_needed():
            update_progress_artifact(artifact_id=artifact, progress=percent)


def show_summary(markdown: str) -> None:
    """At a run's end."""
    with _not_needed():
        create_markdown_artifact(markdown, key="summary")


@contextmanager
def _not_needed() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, OSError, PrefectException, RuntimeError) as error:
        log.warning("Prefect's server does not take an artifact: %s", error or type(error).__name__)
