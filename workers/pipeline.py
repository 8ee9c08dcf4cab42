"""The driver's loop: videos in, records out; every stage streams, and one video's trouble stays its own.

It holds a few hundred bytes for each segment of the videos on their way, and lets only so many videos be on their way
at once. What it knows it can lose: all state that matters lies in the object store.
"""

import heapq
import itertools
import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import ray
from ray.exceptions import RayError

from deblur_core.errors import DeclinedVideoError, RestoreArchiveError, WorkersLostError, runs_until_final
from deblur_core.manifests.videos import FAILED, VideoRecord
from deblur_core.models.registry import find_restorer
from deblur_core.provenance.versions import making_version
from deblur_core.redaction import redacted
from deblur_core.storage.keys import printable
from workers.actors import ActorReport
from workers.call_queue import CallQueue
from workers.deadlines import NORMAL, Clock, Deadlines, PatientClock
from workers.job import Job, SegmentTask, VideoTask
from workers.losses import in_words
from workers.pool import Done, Lost, Pool, PoolError
from workers.progress import STAGES, Snapshot, StageProgress
from workers.results import Assembled, Call, Classified, Deblurred, Planned, Published, VideoOutcome
from workers.setbacks import Setbacks
from workers.sizing import POOLS, pool_sizes
from workers.video_state import VideoState

log = logging.getLogger(__name__)

_VIDEOS_PER_ACTOR = 4
_RESIZE_EVERY_SECONDS = 5.0


class PipelineStoppedError(RestoreArchiveError):
    """The run was stopped before this video was finished; running again continues it."""


class Pipeline:
    """Runs videos through all stages over pools of actors. `submit` may be called from any thread."""

    def __init__(
        self,
        job: Job,
        namespace: str = "restore-archive",
        deadlines: Deadlines = NORMAL,
        clock: Clock = time.monotonic,
    ) -> None:
        self.job = job
        self._deadlines, patient = deadlines, PatientClock(clock)
        self._gmac_256 = find_restorer(job.options.restorer).gmac_256 * job.options.slow_motion
        self._pools = {spec.name: Pool(spec, job, namespace, deadlines.start, patient) for spec in POOLS}
        self._pool_of = {stage: spec.name for spec in POOLS for stage in spec.stages}
        self._queue = CallQueue(self._pool_of, clock)
        self._states: dict[str, VideoState] = {}
        self._futures: dict[str, Future[VideoOutcome]] = {}
        self._waiting: list[tuple[int, int, VideoTask]] = []
        self._orders = itertools.count()
        self._setbacks = Setbacks()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stages = {name: StageProgress() for name in STAGES}
        self._totals = Counter[str]()
        self._started_at = 0.0
        self._start_up_seconds = 0.0
        self._resources: dict[str, float] = {}
        self._resized_at = 0.0
        self._writing = threading.Lock()
        self._ended: BaseException | None = None
        self._ray_is_gone = False
        self._thread = threading.Thread(target=self._loop, name="pipeline", daemon=True)

    def start(self) -> None:
        """Starts the actors and the loop. Ray must be initialised."""
        self._started_at = time.monotonic()
        self._thread.start()

    def submit(self, videos: Iterable[VideoTask]) -> list["Future[VideoOutcome]"]:
        """Queues videos, longest first; each future gives the video's outcome (failures are outcomes too).

        A video that is on its way already is not begun twice. Raises what ended the loop, if it has ended.
        """
        futures = []
        with self._lock:
            if self._ended is not None:
                raise self._ended
            for video in videos:
                future = self._futures.get(video.video)
                if future is not None:
                    futures.append(future)
                    continue
                future = self._futures[video.video] = Future()
                heapq.heappush(self._waiting, (-video.size_bytes, next(self._orders), video))
                self._totals["videos"] += 1
                futures.append(future)
        return futures

    def snapshot(self) -> Snapshot:
        """How far the run is, from any thread."""
        with self._lock:
            stages = {
                name: replace(stage, actors=len(self._pools[self._pool_of[name]].reports))
                for name, stage in self._stages.items()
            }
            totals = self._totals
            return Snapshot(stages, totals["videos"], totals["done"], totals["failed"], self._start_up_seconds)

    def actors(self) -> dict[str, list[ActorReport]]:
        """What the ready actors of each pool said of themselves, from any thread."""
        with self._lock:
            return {name: pool.reports for name, pool in self._pools.items()}

    def exclusively(self, write: Callable[[], None]) -> None:
        """Runs `write` while no other thread of this run writes: shards share one videos.parquet."""
        with self._writing:
            write()

    def end(self, error: BaseException) -> None:
        """Lets every unfinished future raise `error`, from any thread; nothing more is begun."""
        self._stopping.set()
        self._abandon(error)

    def end_without_ray(self, error: BaseException) -> None:
        """The same where Ray itself has ended: it is not asked for anything any more, for it would never answer."""
        self._ray_is_gone = True
        self.end(error)

    def stop(self) -> None:
        """Ends the loop and kills every actor; unfinished futures raise PipelineStoppedError. Safe to call twice."""
        self._stopping.set()
        if self._ray_is_gone:
            return
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=20.0)
        for pool in self._pools.values():
            pool.stop()
        self._abandon(PipelineStoppedError("stopped before this video was finished: run again to continue"))

    def _loop(self) -> None:
        try:
            while not self._stopping.is_set():
                self._fit_to_cluster()
                self._admit()
                self._dispatch()
                self._take_in()
        except PoolError as error:
            log.debug("pool failed", exc_info=True)
            self._abandon(error)
        except (RayError, ConnectionError) as error:  # of Ray itself: what becomes of calls are events
            log.debug("Ray failed", exc_info=True)
            why = in_words(error)
            self._abandon(
                WorkersLostError(f"Ray has ended under the run ({why}): what was done is kept, run again to continue")
            )
        except BaseException as error:
            log.exception("the pipeline's loop failed")
            self._abandon(error)

    def _abandon(self, error: BaseException) -> None:
        with self._lock:
            self._ended = self._ended or error
            futures, self._futures = self._futures, {}
        for future in futures.values():
            if not future.done():
                future.set_exception(error)

    def _fit_to_cluster(self) -> None:
        """Follows the cluster as nodes come and go: every pool gets its share of what is there now."""
        if time.monotonic() - self._resized_at < _RESIZE_EVERY_SECONDS:
            return
        self._resized_at = time.monotonic()
        resources = ray.cluster_resources()
        relevant = {name: resources.get(name, 0.0) for name in ("CPU", "GPU", "memory")}
        if relevant == self._resources:
            return
        self._resources = relevant
        with self._lock:
            for name, size in pool_sizes(relevant).items():
                self._pools[name].resize(size)

    def _admit(self) -> None:
        """Lets waiting videos in while there is room; what is on its way is what the driver's memory holds."""
        room = _VIDEOS_PER_ACTOR * max(sum(pool.alive for pool in self._pools.values()), 1)
        with self._lock:
            while self._waiting and len(self._states) < room:
                _, order, video = heapq.heappop(self._waiting)
                state = VideoState(video, order)
                self._states[video.video] = state
                self._begin(state, [Call("plan", video, order)])

    def _begin(self, state: VideoState, calls: Sequence[Call]) -> None:
        for call in calls:
            if call.stage == "deblur" and state.cannot_rebuild is not None:
                self._fail(state, "declined", DeclinedVideoError(state.cannot_rebuild))
                return
            self._stages[call.stage] = self._stages[call.stage].queued(call.frames)
            self._queue.push(call)

    def _dispatch(self) -> None:
        """Sends what the pools have room for. A call that lost an actor before goes alone; until one is idle for it,
        nothing else of its pool is sent, or none ever would be."""
        with self._lock:
            for name, pool in self._pools.items():
                for call in self._queue.heads(name):
                    state = self._state_of(call)
                    if state is None:
                        self._forget(call)
                    elif not self._send(pool, call, state):
                        break

    def _send(self, pool: Pool, call: Call, state: VideoState) -> bool:
        seconds = self._deadlines.of(call, state, self._gmac_256)
        return pool.send(call, seconds, alone=self._setbacks.is_suspect(call))

    def _take_in(self) -> None:
        references = [reference for pool in self._pools.values() for reference in pool.references()]
        if not references:
            self._stopping.wait(0.05)
            return
        ready, _ = ray.wait(references, num_returns=1, timeout=0.25)
        if ready and len(references) > 1:
            ready, _ = ray.wait(references, num_returns=len(references), timeout=0)
        with self._lock:
            for reference in ready:
                for pool in self._pools.values():
                    for event in pool.collect(reference):
                        self._handle(event)
            for pool in self._pools.values():
                for event in pool.end_overdue():
                    self._handle(event)
            if not self._start_up_seconds and all(pool.reports for pool in self._pools.values()):
                self._start_up_seconds = time.monotonic() - self._started_at

    def _handle(self, event: Done | Lost) -> None:
        state = self._state_of(event.call)
        if state is None:
            self._forget(event.call)
            return
        if isinstance(event, Lost):
            self._requeue(state, event)
        elif event.error is not None:
            self._try_later_or_fail(state, event.call, event.error)
        else:
            self._advance(state, event)

    def _state_of(self, call: Call) -> VideoState | None:
        """The video that a call works for, unless that has ended meanwhile."""
        state = self._states.get(_video(call).video)
        return state if state is not None and state.order == call.order else None

    def _forget(self, call: Call) -> None:
        """A call of a video that has failed meanwhile."""
        self._stages[call.stage] = self._stages[call.stage].queued(-call.frames)

    def _requeue(self, state: VideoState, event: Lost) -> None:
        end = self._setbacks.lost(event)
        if end is not None:
            self._fail(state, event.call.stage, end)
        else:
            log.warning(
                "lost the actor at %s of %s (%s); it is done again",
                event.call.stage,
                printable(state.task.video),
                event.cause,
            )
            self._queue.push(event.call, self._setbacks.pause_seconds(event.call))

    def _try_later_or_fail(self, state: VideoState, call: Call, error: BaseException) -> None:
        seconds = self._setbacks.failed(call, error)
        if seconds is None:
            self._fail(state, _stage_of(call, error), error)
        else:
            video = printable(state.task.video)
            log.warning(
                "%s of %s is tried again in %.0f s: %s", call.stage, video, seconds, printable(redacted(str(error)))
            )
            self._queue.push(call, seconds)

    def _advance(self, state: VideoState, event: Done) -> None:
        call, result, cost = event.call, event.result, event.cost
        assert cost is not None
        stage = self._stages[call.stage]
        self._stages[call.stage] = stage.finished(call.frames, cost.seconds, cost.reused)
        if isinstance(result, Planned) and result.record is not None:
            self._finish(state, VideoOutcome(result.record, skipped=True))
        elif isinstance(result, Planned):
            self._begin(state, state.planned(result))
        elif isinstance(result, Classified):
            self._begin(state, state.classified(call.task.number, result.blurred))
        elif isinstance(result, Deblurred):
            self._begin(state, state.deblurred(call.task.number, result.restored))
        elif isinstance(result, Assembled):
            self._begin(state, state.encoded(call.task.number))
        elif isinstance(result, Published):
            self._finish(state, VideoOutcome(result.record))

    def _fail(self, state: VideoState, stage: str, error: BaseException) -> None:
        """Ends one video; what is queued of it is dropped when its turn comes."""
        if not isinstance(error, RestoreArchiveError):
            told = redacted("".join(traceback.format_exception(error)))
            log.error("%s of %s raised what it should not\n%s", stage, printable(state.task.video), told)
        task = state.task
        record = VideoRecord(
            video=task.video,
            source_etag=task.etag,
            source_bytes=task.size_bytes,
            fingerprint=self.job.fingerprint,
            status=FAILED,
            stage=stage,
            error=redacted(_one_line(error)),
            output=None,
            output_bytes=None,
            frames=sum(segment.frame_count for segment in state.segments),
            blurred=sum(map(sum, state.blurred.values())),
            restored=0,
            rejected=0,
            run_id=self.job.run_id,
            finished_at=int(time.time() * 1000),
            failed_runs=1,
            final_after_runs=runs_until_final(error),
            failed_by=making_version(),
        )
        self._totals["failed"] += 1
        self._finish(state, VideoOutcome(record))

    def _finish(self, state: VideoState, outcome: VideoOutcome) -> None:
        del self._states[state.task.video]
        self._setbacks.forget(state.order)
        self._totals["done"] += 1
        future = self._futures.pop(state.task.video, None)
        if future is not None:
            future.set_result(outcome)


def _video(call: Call) -> VideoTask:
    return call.task.video if isinstance(call.task, SegmentTask) else call.task


def _stage_of(call: Call, error: BaseException) -> str:
    return "declined" if isinstance(error, DeclinedVideoError) else call.stage


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, RestoreArchiveError) and text else f"{type(error).__name__}: {text}"
