"""The Ray actor that hosts stages. One class for every pool: a pool is which stages its actors build.

Knows no queue and no retry: a call either returns a small result or raises.
"""

import os
import socket
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Protocol

import ray

from deblur_core.errors import StorageFullError
from deblur_core.storage.read_failures import read_failures_told
from deblur_core.storage.scratch import remove_abandoned_scratch
from deblur_core.storage.system_errors import no_room
from workers.job import Job
from workers.memory import give_back_freed_memory
from workers.planned_video import PlannedVideos, Stores
from workers.results import Cost, StageResult


class Stage(Protocol):
    """What every stage looks like. The second value says that the output was there already."""

    def run(self, task: Any) -> tuple[StageResult, bool]: ...


@dataclass(frozen=True)
class ActorReport:
    """What an actor says when it is ready to work."""

    node_id: str
    pid: int
    gpu_ids: str
    device: str


def build_stage(name: str, job: Job, stores: Stores, videos: PlannedVideos) -> Stage:
    """Imports and builds one stage; imports are here so that an actor loads only what its stages need."""
    if name == "plan":
        from workers.stages.plan import PlanStage

        return PlanStage(job, stores, videos)
    if name == "classify":
        from workers.stages.classify import ClassifyStage

        return ClassifyStage(job, stores, videos)
    if name == "deblur":
        from workers.stages.deblur import DeblurStage

        return DeblurStage(job, stores, videos)
    if name == "assemble":
        from workers.stages.assemble import AssembleStage

        return AssembleStage(job, stores, videos)
    if name == "publish":
        from workers.stages.publish import PublishStage

        return PublishStage(job, stores, videos)
    raise ValueError(f"no stage is called {name!r}")


@ray.remote(max_restarts=0, max_task_retries=0)
class StageActor:
    """Builds its stages once and runs one call at a time."""

    def __init__(self, job: Job, stages: tuple[str, ...], threads: int) -> None:
        self._frees = "deblur" not in stages
        _limit_threads(threads, needs_torch=not self._frees)
        remove_abandoned_scratch()
        stores = Stores(job)
        videos = PlannedVideos(job, stores)
        self._stages = {name: build_stage(name, job, stores, videos) for name in stages}

    def ready(self) -> ActorReport:
        """Returns once everything is loaded: only then is work sent here."""
        devices = [str(stage.device) for stage in self._stages.values() if hasattr(stage, "device")]
        return ActorReport(
            node_id=ray.get_runtime_context().get_node_id(),
            pid=os.getpid(),
            gpu_ids=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
            device=", ".join(devices) or "cpu",
        )

    def run(self, stage: str, task: Any) -> tuple[StageResult, Cost]:
        """Runs one call of one stage. A deblur actor keeps its memory: its next tile takes just as much."""
        try:
            return run_call(self._stages[stage], task)
        finally:
            if self._frees:
                give_back_freed_memory()


def run_call(stage: Stage, task: Any) -> tuple[StageResult, Cost]:
    """Runs one call. Raises what the stage raises, but what a failed read or a full disk made of it as what it is."""
    started = time.monotonic()
    try:
        with read_failures_told():
            result, reused = stage.run(task)
    except Exception as error:
        if isinstance(error, StorageFullError) or not no_room(error):
            raise
        place = f"{tempfile.gettempdir()} of {socket.gethostname()}"
        raise StorageFullError(f"no room left in {place}: free space there or set TMPDIR, then run again") from error
    return result, Cost(time.monotonic() - started, reused)


def _limit_threads(threads: int, needs_torch: bool) -> None:
    """Keeps actors from fighting over cores: each library gets this actor's share of them."""
    import cv2

    cv2.setNumThreads(threads)
    if needs_torch:
        import torch

        torch.set_num_threads(threads)
