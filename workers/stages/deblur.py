"""Deblur: restores the blurred frames of a span of a segment, keeping those that are better than their originals.

Looks over the span's edges for sharp frames, so that no jump shows where spans or segments meet. Writes the restored
frames losslessly in the source's own pixel format (the overlay), then what became of each (the outcome).
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from deblur_core.errors import ObjectNotFoundError
from deblur_core.manifests.frames import (
    REJECTED,
    RESTORED,
    FrameOutcome,
    from_bytes,
    labels_from,
    outcomes_from,
    outcomes_table,
    to_bytes,
)
from deblur_core.models.registry import load_restorer
from deblur_core.restoration import reach_for, restore_stream
from deblur_core.video.decode import decode_frames
from deblur_core.video.overlay import OverlayWriter
from workers.job import Job, SegmentTask
from workers.planned_video import PlannedVideo, PlannedVideos, Stores, open_video
from workers.results import Deblurred


class DeblurStage:
    """Restores span after span with one restorer, loaded once."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        self._job, self._stores, self._videos = job, stores, videos
        self._restorer = load_restorer(
            job.options.restorer, job.device, job.options.weights, job.options.weights_sha256
        )
        self.device = str(getattr(self._restorer, "device", "cpu"))

    def run(self, task: SegmentTask) -> tuple[Deblurred, bool]:
        """Raises DamagedVideoError when the segment does not decode to the frames of its index."""
        key = self._job.outcome_key(task)
        try:
            table, _ = from_bytes(self._stores.work.read(key), key)
            outcomes, reused = outcomes_from(table), True
        except ObjectNotFoundError:
            outcomes, reused = self._restore(task), False
            # The overlay is there before the outcome that promises it.
            self._stores.work.put(key, to_bytes(outcomes_table(outcomes), {"schema": "restore-archive/outcomes"}))
        restored = sum(outcome.action == RESTORED for outcome in outcomes)
        return Deblurred(restored, len(outcomes) - restored), reused

    def _restore(self, task: SegmentTask) -> list[FrameOutcome]:
        planned = self._videos.get(task.video)
        info = planned.info
        needs = reach_for(self._restorer.needs, info.width, info.height, info.bit_depth)
        first = max(task.first_frame - needs.margin_frames, 0)
        stop = min(task.stop_frame + needs.margin_frames, planned.index.frame_count)
        blurred = self._blurred(task, planned, first, stop)
        targets = np.flatnonzero(blurred) + first
        targets = targets[(targets >= task.first_frame) & (targets < task.stop_frame)]
        if not len(targets):
            return []
        start = max(int(targets[0]) - needs.margin_frames, 0)
        end = min(int(targets[-1]) + needs.margin_frames + 1, planned.index.frame_count)
        outcomes: list[FrameOutcome] = []
        with (
            TemporaryDirectory(prefix="restore-archive-") as folder,
            open_video(self._stores.source, task.video) as file,
        ):
            path = Path(folder) / "overlay.mkv"
            with OverlayWriter(path, info) as overlay:
                decoded = decode_frames(file, planned.index, start, end, task.video.video)
                numbers = [int(target) for target in targets]
                limits = self._job.options.limits
                for result in restore_stream(decoded, blurred, first, numbers, self._restorer, needs, limits):
                    if result.frame is not None:
                        overlay.add(result.number, result.frame)
                    action = REJECTED if result.frame is None else RESTORED
                    verdict = result.verdict
                    outcomes.append(
                        FrameOutcome(result.number, action, verdict.sharpness_before, verdict.sharpness_after)
                    )
            if any(outcome.action == RESTORED for outcome in outcomes):
                self._stores.work.put_file(self._job.overlay_key(task), path)
        return outcomes

    def _blurred(self, task: SegmentTask, planned: PlannedVideo, first: int, stop: int) -> np.ndarray:
        """Labels (bool) of the frames first … stop-1, joined from all the segments that they touch."""
        tables = []
        for segment in planned.segments:
            if segment.first_frame < stop and segment.stop_frame > first:
                key = self._job.labels_key(task.video, segment.first_frame, segment.stop_frame)
                tables.append(from_bytes(self._stores.work.read(key), key)[0])
        return labels_from(tables, first, stop).probability >= np.float32(self._job.options.threshold)
