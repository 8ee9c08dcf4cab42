"""`restore-archive run`: the flow in this process, with an embedded Prefect server, and its end in words or JSON."""

import contextvars
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deblur_core.errors import RestoreArchiveError
from deblur_core.models.registry import find_restorer
from deblur_core.storage.keys import printable
from flows.embedded_server import embedded_server
from flows.inventory import Inventory, take_inventory
from flows.quiet import prepare_environment
from flows.settings import Settings, check_device, resolve_settings
from flows.summary import Failure, Summary, Tally, lines, summarize
from workers.job import new_run_id

FRAME_SECONDS_CLASSIFY = 0.012
FRAME_SECONDS_DEBLUR = 0.5
GMAC_SECONDS_DEBLUR = 0.18
FRAME_SECONDS_ENCODE = 0.03
"""Core seconds a 720p frame (docs/measurements.md), and for each of its restorer's GMAC at 256²; for the estimate of
--dry-run only."""
_BLURRED_SHARE = 0.3


def run(arguments: dict[str, Any], force: bool, retry_failed: bool, dry_run: bool, as_json: bool) -> int:
    """Restores an archive and returns the exit code. Raises UsageError before anything is written."""
    started = time.monotonic()
    settings = resolve_settings(**arguments)
    check_device(settings)
    inventory = take_inventory(settings, new_run_id(), force, writes=not dry_run, retry_failed=retry_failed)
    if dry_run:
        _show_plan(inventory, as_json)
        return 0
    if not inventory.pending:
        summary = _nothing_to_do(inventory, time.monotonic() - started)
    else:
        summary = _run_flow(settings, inventory, force, retry_failed, as_json)
    if as_json:
        sys.stdout.write(json.dumps(summary.to_json()) + "\n")
    else:
        for line in lines(summary, inventory.job.destination_url):
            sys.stdout.write(line + "\n")
    return summary.exit_code


def _nothing_to_do(inventory: Inventory, seconds: float) -> Summary:
    summary = summarize(inventory.job.run_id, seconds, Tally.of(inventory.given_up, len(inventory.done)))
    return replace(summary, not_retried=len(inventory.given_up))


def _run_flow(settings: Settings, inventory: Inventory, force: bool, retry_failed: bool, as_json: bool) -> Summary:
    prepare_environment(embedded_server=True)
    with embedded_server():
        from flows.progress_display import shown
        from flows.restore_archive import prepared, restore_archive, watcher

        context = contextvars.copy_context()
        context.run(prepared.set, inventory)
        if not as_json:
            context.run(watcher.set, shown)
        given = settings.model_dump(include=set(_FLOW_PARAMETERS), exclude_unset=True)
        # Ray tells of every worker that dies on stdout, which belongs to the result alone.
        with redirect_stdout(sys.stderr), _gone_server_told():
            result = context.run(lambda: restore_archive(**given, force=force, retry_failed=retry_failed))
    failures = tuple(Failure(**failure) for failure in result["failures"])
    not_retried = len(inventory.given_up)
    return Summary(result["run_id"], result["seconds"], result["videos"], result["frames"], failures, not_retried)


@contextmanager
def _gone_server_told() -> Iterator[None]:
    """Prefect asks its server at the beginning and the end of a run. Raises RestoreArchiveError where that is gone."""
    import httpx
    from prefect.exceptions import PrefectException

    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        why = str(error).strip() or type(error).__name__
        raise RestoreArchiveError(
            f"Prefect's server does not answer any more ({why}): what was done is kept, run again to continue"
        ) from error


_FLOW_PARAMETERS = (
    "source", "destination", "restorer", "weights", "selector", "threshold", "stride", "slow_motion", "reencode",
    "codec", "crf", "device", "work", "ray_address", "segment_frames",
)  # fmt: skip


@dataclass(frozen=True)
class _Estimate:
    """What a video would cost; frames and core_seconds are None where the file cannot be read, `note` says why."""

    video: str
    size_bytes: int
    frames: int | None
    core_seconds: float | None
    note: str = ""


def _estimate(inventory: Inventory) -> Iterator[_Estimate]:
    """Frames come from the container's own duration; how many are blurred nobody knows yet, so 30 % are assumed."""
    from deblur_core.storage import open_store
    from deblur_core.video.probe import probe
    from workers.planned_video import open_video

    store = open_store(inventory.job.source_url)
    options = inventory.job.options
    encoded = _BLURRED_SHARE * options.slow_motion + 1 - _BLURRED_SHARE
    deblur_seconds = FRAME_SECONDS_DEBLUR + GMAC_SECONDS_DEBLUR * find_restorer(options.restorer).gmac_256
    frame_seconds = FRAME_SECONDS_CLASSIFY + encoded * FRAME_SECONDS_ENCODE + _BLURRED_SHARE * deblur_seconds
    for video in inventory.pending:
        try:
            with open_video(store, video) as file:
                info = probe(file, video.video)
        except RestoreArchiveError as error:
            yield _Estimate(video.video, video.size_bytes, None, None, str(error))
            continue
        frames = round((info.duration_seconds or 0.0) * float(info.average_rate or 25))
        size = info.width * info.height / (1280 * 720)
        yield _Estimate(video.video, video.size_bytes, frames, round(frames * size * frame_seconds, 1))


def _show_plan(inventory: Inventory, as_json: bool) -> None:
    """Lists what would be done."""
    estimates = list(_estimate(inventory))
    total = sum(estimate.core_seconds or 0.0 for estimate in estimates)
    if as_json:
        plan = {
            "run_id": inventory.job.run_id,
            "skipped": len(inventory.done),
            "core_seconds": round(total, 1),
            "pending": [asdict(estimate) for estimate in estimates],
            "given_up": [
                {"video": each.video, "stage": each.stage, "error": each.error} for each in inventory.given_up
            ],
            "other_files": inventory.other_files,
        }
        sys.stdout.write(json.dumps(plan) + "\n")
        return
    table = Table("video", "MB", "frames", "core seconds", "")
    for each in estimates:
        cost = "" if each.core_seconds is None else f"{each.core_seconds:.0f}"
        size = f"{each.size_bytes / 1e6:.1f}"
        table.add_row(Text(printable(each.video)), size, str(each.frames or ""), cost, Text(printable(each.note)))
    console = Console()
    console.print(table)
    console.print(
        f"{len(estimates)} videos would be done, {len(inventory.done)} are done already, {len(inventory.given_up)} "
        f"failed for good and are left alone, as are {inventory.other_files} other files. About {total / 3600:.2f} "
        "core hours without a GPU if 30 % of the frames are blurred. Nothing was written."
    )
