"""Deblur: restores the blurred frames of a span of a segment, keeping those that are better than their originals.

Looks over the span's edges for sharp frames, so that no jump shows where spans or segments meet. Writes the restored
frames losslessly in the source's own pixel format (the overlay), then what became of each (the outcome).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from deblur_core.errors import ObjectNotFoundError, SettingsError
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
from deblur_core.moment_order import MomentEdges, moments_backwards
from deblur_core.restoration import needs_of_moments, reach_for, restore_stream
from deblur_core.storage.scratch import temporary_folder
from deblur_core.video.containers import muxer_for
from deblur_core.video.decode import decode_frames
from deblur_core.video.overlay import OverlayWriter
from deblur_core.video.slow_motion import moment_number, slowed
from workers.job import Job, SegmentTask
from workers.planned_video import PlannedVideo, PlannedVideos, Stores, open_video
from workers.results import Deblurred


class DeblurStage:
    """Restores span after span with one restorer, loaded once."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        """Raises SettingsError if slow motion asks for other moments than the restorer gives."""
        self._job, self._stores, self._videos = job, stores, videos
        self._restorer = load_restorer(
            job.options.restorer, job.device, job.options.weights, job.options.weights_sha256
        )
        self.device = str(getattr(self._restorer, "device", "cpu"))
        self._moments = job.options.slow_motion
        if self._moments not in (1, self._restorer.moments):
            raise SettingsError(
                f"slow_motion = {self._moments}: the restorer {job.options.restorer!r} gives {self._restorer.moments}"
            )

    def run(self, task: SegmentTask) -> tuple[Deblurred, bool]:
        """Raises DamagedVideoError when the segment does not decode to the frames of its index, DeclinedVideoError when
        a frame is too short for its moments."""
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
        slow = self._moments > 1
        if slow:
            needs = needs_of_moments(needs)
        first = max(task.first_frame - needs.margin_frames, 0)
        stop = min(task.stop_frame + needs.margin_frames, planned.index.frame_count)
        blurred = self._blurred(task, planned, first, stop)
        targets = np.flatnonzero(blurred) + first
        targets = targets[(targets >= task.first_frame) & (targets < task.stop_frame)]
        if not len(targets):
            return []
        if slow:
            self._require_room(task, planned, targets)
        start = max(int(targets[0]) - needs.margin_frames, 0)
        end = min(int(targets[-1]) + needs.margin_frames + 1, planned.index.frame_count)
        outcomes: list[FrameOutcome] = []
        edges: dict[int, MomentEdges] = {}
        with (
            temporary_folder() as folder,
            open_video(self._stores.source, task.video) as file,
        ):
            path = Path(folder) / "overlay.mkv"
            with OverlayWriter(path, info) as overlay:
                decoded = decode_frames(file, planned.index, start, end, task.video.video)
                numbers = [int(target) for target in targets]
                limits = self._job.options.verdict_limits
                moments = self._restorer.restore_moments if slow else None
                for result in restore_stream(decoded, blurred, first, numbers, self._restorer, needs, limits, moments):
                    for moment, frame in enumerate(result.frames):
                        overlay.add(moment_number(result.number, moment, self._moments), frame)
                    if result.edges is not None:
                        edges[result.number] = result.edges
                    action = RESTORED if result.frames else REJECTED
                    verdict = result.verdict
                    outcomes.append(
                        FrameOutcome(result.number, action, verdict.sharpness_before, verdict.sharpness_after)
                    )
            if any(outcome.action == RESTORED for outcome in outcomes):
                self._stores.work.put_file(self._job.overlay_key(task), path)
        backwards = moments_backwards(edges)
        return [replace(outcome, backwards=outcome.frame in backwards) for outcome in outcomes]

    def _require_room(self, task: SegmentTask, planned: PlannedVideo, targets: np.ndarray) -> None:
        """Before any work: the moments of all of them have times of their own in the container of the result."""
        restored = np.zeros(planned.index.frame_count, bool)
        restored[targets] = True
        muxer = muxer_for(self._job.output_key(task.video, rebuilt=True))
        slowed(planned.index, restored, self._moments, muxer, task.video.video)

    def _blurred(self, task: SegmentTask, planned: PlannedVideo, first: int, stop: int) -> np.ndarray:
        """Labels (bool) of the frames first … stop-1, joined from all the segments that they touch."""
        tables = []
        for segment in planned.segments:
            if segment.first_frame < stop and segment.stop_frame > first:
                key = self._job.labels_key(task.video, segment.first_frame, segment.stop_frame)
                tables.append(from_bytes(self._stores.work.read(key), key)[0])
        return labels_from(tables, first, stop).probability >= np.float32(self._job.options.threshold)
