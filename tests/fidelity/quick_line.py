"""Takes one file through the program's own stages, one after the other in this process, with a selector and a restorer
that cost nothing: they choose and change frames so plainly that anybody can tell which were changed.

Everything but those two is the program as it is: plan, classify, deblur, assemble, publish.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deblur_core.errors import DeclinedVideoError, VideoError
from deblur_core.manifests.frames import RESTORED, from_bytes
from deblur_core.manifests.videos import VideoRecord
from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer
from deblur_core.models.selector import Selector
from deblur_core.verdict import VerdictLimits
from workers.actors import Stage, build_stage
from workers.job import Job, RestoreOptions, VideoTask
from workers.planned_video import PlannedVideos, Stores
from workers.results import Call, Planned, Published
from workers.video_state import VideoState

EVERYTHING_IS_BETTER = VerdictLimits(sharpness_gain=-1.0, reblur_error=float("inf"), unexplained=1.0)


class FewFrames(Selector):
    """Calls the middle frame of each stretch blurred, and the one after it."""

    def __init__(self) -> None:
        super().__init__("few-frames", "0" * 64)

    def frame_features(self, luma: np.ndarray, bits: int | None = None) -> np.ndarray:
        return np.zeros((1, 1), np.float32)

    def probabilities(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        blurred = np.zeros(len(features), np.float32)
        blurred[len(features) // 2 : len(features) // 2 + 2] = 1
        return blurred


class HalfUpsideDown(Restorer):
    """Moves every sample of the upper half by half its range, which no picture survives unseen, be it grey all over."""

    name, needs, weights_sha256, moments = "half-upside-down", ContextNeeds(), "0" * 64, 1

    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        changed = window.target.copy()
        changed[: -(-changed.shape[0] // 2)] ^= 1 << 8 * changed.itemsize - 1
        return changed


@dataclass(frozen=True)
class Outcome:
    """What became of one file. path: the result, None where nothing was published; error: the program's own words."""

    path: Path | None
    record: VideoRecord | None
    restored: tuple[int, ...]
    error: VideoError | None


def restored(source: Path, folder: Path, **options: Any) -> Outcome:
    """Runs the program over `source`, the only file of its archive; writes into `folder`.

    options: fields of RestoreOptions. Errors that are no VideoError pass through: no file may cause one.
    """
    given = {"segment_frames": 24, "limits": EVERYTHING_IS_BETTER, **options}
    job = Job("run", str(source.parent), str(folder), str(folder / "_restore/work"), RestoreOptions(**given), "cpu")
    stores = Stores(job)
    facts = stores.source.head(source.name)
    task = VideoTask(source.name, facts.etag, facts.size_bytes)
    with quick_models():
        try:
            record = all_calls(job, stores, task)
        except VideoError as error:
            left = [each for each in folder.rglob("*") if each.is_file() and "_restore" not in each.parts]
            assert not left, f"failed ({error}), yet published {left}"
            return Outcome(None, None, (), error)
    key = job.manifest_key(task)
    rows = from_bytes(stores.destination.read(key), key)[0].to_pylist()
    numbers = tuple(row["frame"] for row in rows if row["action"] == RESTORED)
    assert record.output is not None
    return Outcome(folder / record.output, record, numbers, None)


def all_calls(job: Job, stores: Stores, task: VideoTask) -> VideoRecord:
    videos, stages = PlannedVideos(job, stores), dict[str, Stage]()
    state, waiting = VideoState(task, 0), deque([Call("plan", task)])
    while waiting:
        call = waiting.popleft()
        if call.stage not in stages:
            stages[call.stage] = build_stage(call.stage, job, stores, videos)
        result, _ = stages[call.stage].run(call.task)
        if isinstance(result, Published):
            return result.record
        if isinstance(result, Planned):
            waiting += state.planned(result)
        elif call.stage == "classify":
            waiting += state.classified(call.task.number, result.blurred)
            if state.cannot_rebuild and any(result.blurred):
                # As the driver does: a video that cannot be rebuilt is declined as soon as a frame of it is blurred.
                raise DeclinedVideoError(state.cannot_rebuild)
        elif call.stage == "deblur":
            waiting += state.deblurred(call.task.number, result.restored)
        else:
            waiting += state.encoded(call.task.number)
    raise AssertionError(f"{task.video}: no call is left and nothing was published")


@contextmanager
def quick_models() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.stages.deblur.load_restorer", lambda *_: HalfUpsideDown())
        patch.setattr("workers.stages.classify.load_selector", lambda *_: FewFrames())
        yield
