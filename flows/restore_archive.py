"""The flow `restore-archive`: takes stock, runs the pipeline over Ray, reports; scheduled or from the command line.

One Prefect task for each shard of videos; frames and segments never become tasks. The flow is the Ray driver.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import State
from prefect.task_runners import ThreadPoolTaskRunner

from deblur_core.errors import BucketNotFoundError, ObjectNotFoundError, StorageError
from deblur_core.manifests.videos import FAILED, VideoRecord, bytes_with, records_to_bytes
from deblur_core.retry import Backoff, attempted
from deblur_core.storage import ObjectStore, open_store
from deblur_core.storage.lease import Lease, held_lease
from flows.artifacts import begin_progress, show_progress, show_summary
from flows.cluster import NAMESPACE, ray_session
from flows.inventory import VIDEOS_KEY, Inventory, leased_places, take_inventory
from flows.settings import Settings, check_device, resolve_settings
from flows.summary import Summary, Tally, markdown, run_report, summarize
from workers.job import META, Job, VideoTask, new_run_id
from workers.leftovers import remove_abandoned_work
from workers.memory import give_back_freed_memory
from workers.progress import Snapshot
from workers.results import VideoOutcome

if TYPE_CHECKING:
    from workers.pipeline import Pipeline

log = logging.getLogger(__name__)

LEFT_SECONDS = 5.0
"""What was last written so long ago is of a run that is no more, once the lease is held; another run that only asks
whether it may begin writes for less."""
ENDED_SECONDS = 1.0
"""The same when a run's own workers have ended: the lease's renewal writes for less."""
_RECORDS_EVERY_SECONDS = 60.0
_WRITE_BACKOFF = Backoff(attempts=6, first_seconds=4.0, most_seconds=60.0)

Watcher = Callable[[Inventory, Callable[[], Snapshot]], Any]
watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""What the command line sets to draw its progress: called with the inventory and a way to look at the pipeline, it
returns a context manager that is open while the pipeline runs. Left alone on a worker, where artifacts serve."""

prepared: ContextVar[Inventory | None] = ContextVar("prepared", default=None)
"""The inventory that the command line took before it started anything, so that the flow need not take it again."""


@flow(
    name="restore-archive",
    description="Finds the motion-blurred frames of an archive, restores them and publishes every video.",
    task_runner=ThreadPoolTaskRunner(max_workers=4),  # type: ignore[arg-type]
    validate_parameters=False,
    retries=0,
)
def restore_archive(
    source: str | None = None,
    destination: str | None = None,
    restorer: str | None = None,
    weights: str | None = None,
    selector: str | None = None,
    threshold: float | None = None,
    stride: int | None = None,
    slow_motion: int | None = None,
    reencode: bool | None = None,
    codec: Literal["auto", "h264", "hevc", "av1", "vp9", "ffv1"] | None = None,
    crf: float | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    work: str | None = None,
    ray_address: str | None = None,
    segment_frames: int | None = None,
    force: bool = False,
    retry_failed: bool = False,
) -> dict[str, Any]:
    """Restores the archive at `source` into `destination`; what is left out comes from RESTORE_… or restore.toml.

    Returns the summary as `--json` prints it. Raises UsageError before anything is written; failures of single videos
    are in the summary, not raised.
    """
    arguments = {name: value for name, value in locals().items() if name not in ("force", "retry_failed")}
    settings = resolve_settings(**arguments)
    check_device(settings)
    inventory = prepared.get() or take_inventory(settings, new_run_id(), force, retry_failed=retry_failed)
    started = time.monotonic()
    tally, snapshot = Tally.of(inventory.given_up, skipped=len(inventory.done)), Snapshot()
    if inventory.pending:
        worked, snapshot = _run_pipeline(inventory, settings)
        tally.include(worked)
    summary = summarize(inventory.job.run_id, time.monotonic() - started, tally)
    write_summary(summary, snapshot, inventory)
    show_summary(markdown(summary, inventory.job.destination_url))
    return summary.to_json()


def _run_pipeline(inventory: Inventory, settings: Settings) -> tuple[Tally, Snapshot]:
    pending = sorted(inventory.pending, key=lambda video: -video.size_bytes)
    shards = [pending[start : start + settings.shard_videos] for start in range(0, len(pending), settings.shard_videos)]
    started = time.monotonic()
    with ray_session(settings.ray_address) as session, held_leases(inventory.job) as leases:
        # Ray reads its token when it is imported, so nothing imports it before the session has set one.
        from workers.deadlines import NORMAL
        from workers.pipeline import Pipeline

        ray_seconds = time.monotonic() - started
        tidy(inventory.job, LEFT_SECONDS)
        pipeline = Pipeline(inventory.job, NAMESPACE, NORMAL.times(settings.deadline_factor))
        try:
            pipeline.start()
            session.when_lost(pipeline.end_without_ray)
            for lease in leases:
                lease.when_lost(pipeline.end)
            with _watched(inventory, pipeline):
                futures: list[PrefectFuture[Tally]] = [
                    restore_shard.with_options(name=f"shard {number}").submit(pipeline, shard)
                    for number, shard in enumerate(shards)
                ]
                tally = Tally()
                for future in futures:
                    tally.include(future.result())
            snapshot = pipeline.snapshot()
            pipeline.stop()
            try:
                tidy(inventory.job, ENDED_SECONDS)
                remove_abandoned_work(open_store(inventory.job.work_url), inventory.done)
            except StorageError as error:  # the next run does it
                log.warning("what killed workers left could not be removed: %s", error)
            return tally, replace(snapshot, start_up_seconds=snapshot.start_up_seconds + ray_seconds)
        finally:
            pipeline.stop()


def tidy(job: Job, older_than_seconds: float) -> None:
    """Removes what killed writers left unfinished wherever the run writes. Raises StorageError."""
    for url in {job.destination_url, job.work_url}:
        open_store(url).clean_up_partial(older_than_seconds)


@contextmanager
def held_leases(job: Job) -> Iterator[list[Lease]]:
    """Keeps others out of the places where this run writes. Raises BusyDestinationError, StorageError."""
    with ExitStack() as stack:
        yield [stack.enter_context(held_lease(open_store(url), job.run_id)) for url in leased_places(job)]


def _is_worth_retrying(task: Any, task_run: Any, state: State[Any]) -> bool:
    """A store that did not answer may answer soon; a run that was stopped, or cannot start actors, stays so."""
    return isinstance(state.result(raise_on_failure=False), StorageError)


@task(
    name="restore-shard",
    retries=1,
    retry_delay_seconds=10,
    retry_condition_fn=_is_worth_retrying,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def restore_shard(pipeline: "Pipeline", videos: Sequence[VideoTask]) -> Tally:
    """Runs a shard of videos through the pipeline and writes down how each ended, as they end."""
    logger = get_run_logger()
    artifact = begin_progress(f"{len(videos)} videos")
    destination = open_store(pipeline.job.destination_url)
    waiting: set[Future[VideoOutcome]] = set(pipeline.submit(videos))
    tally = Tally()
    unwritten: list[VideoRecord] = []
    written = time.monotonic()
    while waiting:
        finished, waiting = wait(waiting, timeout=5.0, return_when=FIRST_COMPLETED)
        for future in finished:
            outcome = future.result()
            tally.add(outcome.record, outcome.skipped)
            unwritten.append(outcome.record)
            if outcome.record.status == FAILED:
                logger.warning(f"{outcome.record.video} [{outcome.record.stage}] {outcome.record.error}")
        if unwritten and (not waiting or time.monotonic() - written > _RECORDS_EVERY_SECONDS):
            pipeline.exclusively(partial(write_records, destination, tuple(unwritten)))
            give_back_freed_memory()  # the whole table was read and written
            unwritten, written = [], time.monotonic()
            show_progress(artifact, 100.0 * tally.videos.total() / len(videos))
    return tally


def write_records(destination: ObjectStore, records: Sequence[VideoRecord]) -> None:
    """Merges records into the destination's videos.parquet; one writer at a time."""

    def write() -> None:
        try:
            data = destination.read(VIDEOS_KEY)
        except (ObjectNotFoundError, BucketNotFoundError):
            data = records_to_bytes([])
        destination.put(VIDEOS_KEY, bytes_with(data, records, f"{destination.url}/{VIDEOS_KEY}"))

    attempted(write, _WRITE_BACKOFF)


def write_summary(summary: Summary, snapshot: Snapshot, inventory: Inventory) -> None:
    """Leaves `runs/<run id>/summary.json` in the destination."""
    report = run_report(summary, snapshot, asdict(inventory.job.options))
    report["other_files"] = inventory.other_files
    report["not_retried"] = len(inventory.given_up)
    destination = open_store(inventory.job.destination_url)
    key, text = f"{META}/runs/{summary.run_id}/summary.json", json.dumps(report, indent=1).encode()
    attempted(lambda: destination.put(key, text), _WRITE_BACKOFF)


@contextmanager
def _watched(inventory: Inventory, pipeline: "Pipeline") -> Iterator[None]:
    watch = watcher.get()
    if watch is None:
        yield
        return
    with watch(inventory, pipeline.snapshot):
        yield
