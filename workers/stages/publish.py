"""Publish: the parts joined, everything else carried over, the result checked against its source, then one atomic put.

A video that nothing was changed in is copied byte for byte. The manifest is written last: it says that all is there.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np

from deblur_core.errors import AccessDeniedError, ObjectNotFoundError, VerificationError
from deblur_core.manifests.frames import (
    REJECTED,
    RESTORED,
    FrameOutcome,
    SegmentLabels,
    VideoFrames,
    frame_manifest,
    from_bytes,
    labels_from,
    outcomes_from,
    to_bytes,
)
from deblur_core.manifests.videos import RESTORED as VIDEO_RESTORED
from deblur_core.manifests.videos import UNCHANGED, VideoRecord
from deblur_core.storage import ObjectInfo
from deblur_core.video.containers import muxer_for
from deblur_core.video.rebuild import CarriedFrames, rebuild
from deblur_core.video.slow_motion import SlowedFrames, slowed
from deblur_core.video.verify import verify_rebuilt
from workers.job import Job, SegmentTask, VideoTask, deblur_spans
from workers.planned_video import PlannedVideo, PlannedVideos, Stores, open_video
from workers.results import Published
from workers.stages.encoding import encoded_frames, encoding_of


@dataclass(frozen=True)
class Result:
    """How a video was rebuilt: frames whose packets stayed as they were, and why none did."""

    carried: int
    reencoded_because: str | None


class PublishStage:
    """Makes a finished video visible under its final name."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        self._job, self._stores, self._videos = job, stores, videos

    def run(self, task: VideoTask) -> tuple[Published, bool]:
        """Raises VerificationError when the rebuilt file is not what it must be; nothing is published then."""
        planned = self._videos.get(task)
        segments = [SegmentTask(task, s.number, s.first_frame, s.stop_frame) for s in planned.segments]
        labels = self._labels(task, planned)
        spans = [span for segment in segments for span in deblur_spans(segment)]
        outcomes = [outcome for span in spans for outcome in self._outcomes(span)]
        restored = [outcome.frame for outcome in outcomes if outcome.action == RESTORED]
        result = Result(0, None)
        if restored:
            output, result = self._rebuild(task, planned, segments, restored)
        else:
            output = self._stores.destination.copy_from(
                self._stores.source,
                task.video,
                self._job.output_key(task, rebuilt=False),
                ObjectInfo(task.video, task.size_bytes, task.etag, 0.0),
            )
        record = self._record(task, labels, outcomes, output, result)
        self._remove_former(task, output.key)
        self._write_manifest(task, planned, labels, outcomes, record)
        self._stores.work.delete_prefix(self._job.video_prefix(task))
        return Published(record), False

    def _rebuild(
        self, task: VideoTask, planned: PlannedVideo, segments: list[SegmentTask], restored: list[int]
    ) -> tuple[ObjectInfo, Result]:
        key = self._job.output_key(task, rebuilt=True)
        marks = np.zeros(planned.index.frame_count, bool)
        marks[restored] = True
        encoding = encoding_of(self._job, task, planned)
        encoded = [
            encoded_frames(planned, encoding, each, marks[each.first_frame : each.stop_frame]) for each in segments
        ]
        stay = ~np.concatenate(encoded)
        because = encoding.whole_because
        if because is None and not stay.any():
            because = "each of its GOPs begins with a restored frame, hides frames or is longer than a segment"
        parts = [
            self._opener(self._job.part_key(each)) for each, some in zip(segments, encoded, strict=True) if some.any()
        ]
        slow = self._slowed(task, planned, restored, key)
        with TemporaryDirectory(prefix="restore-archive-") as folder:
            path = Path(folder) / Path(key).name
            with open_video(self._stores.source, task) as source, open_video(self._stores.source, task) as again:
                carried = CarriedFrames(stay, again) if because is None else None
                rebuild(source, task.video, planned.info, planned.index, parts, path, key, slow, carried)
            with open_video(self._stores.source, task) as source:
                times = slow.times if slow else planned.index
                try:
                    verify_rebuilt(source, path, planned.info, times, key, None if because else stay)
                except VerificationError as error:
                    if because is not None:
                        raise
                    raise VerificationError(f"{error}; run with --reencode to have all of it encoded") from error
            return self._stores.destination.put_file(key, path), Result(int(stay.sum()), because)

    def _slowed(self, task: VideoTask, planned: PlannedVideo, restored: list[int], key: str) -> SlowedFrames | None:
        """The frames of the result where slow motion makes them other than those of the source."""
        if self._job.options.slow_motion == 1:
            return None
        marks = np.zeros(planned.index.frame_count, bool)
        marks[restored] = True
        return slowed(planned.index, marks, self._job.options.slow_motion, muxer_for(key), task.video)

    def _remove_former(self, task: VideoTask, output: str) -> None:
        """Takes away what an earlier run published under the video's other name (with or without `.mkv`)."""
        key, destination = self._job.manifest_key(task), self._stores.destination
        try:
            _, metadata = from_bytes(destination.read(key), key)
        except ObjectNotFoundError:
            return
        former = VideoRecord(**json.loads(metadata["record"])).output
        if former in (None, output) or not destination.exists(former):
            return
        try:
            destination.delete(former)
        except AccessDeniedError as cause:
            raise AccessDeniedError(
                f"{task.video} is published as {output} now, but its former {former} may not be deleted ({cause}): "
                "delete it by hand and run again"
            ) from cause

    def _opener(self, key: str) -> Callable[[], BinaryIO]:
        return lambda: self._stores.work.open(key)

    def _labels(self, task: VideoTask, planned: PlannedVideo) -> SegmentLabels:
        tables = []
        for segment in planned.segments:
            key = self._job.labels_key(task, segment.first_frame, segment.stop_frame)
            tables.append(from_bytes(self._stores.work.read(key), key)[0])
        return labels_from(tables, 0, planned.index.frame_count)

    def _outcomes(self, span: SegmentTask) -> list[FrameOutcome]:
        key = self._job.outcome_key(span)
        try:
            return outcomes_from(from_bytes(self._stores.work.read(key), key)[0])
        except ObjectNotFoundError:
            return []

    def _record(
        self,
        task: VideoTask,
        labels: SegmentLabels,
        outcomes: list[FrameOutcome],
        output: ObjectInfo,
        result: Result,
    ) -> VideoRecord:
        restored = sum(outcome.action == RESTORED for outcome in outcomes)
        return VideoRecord(
            video=task.video,
            source_etag=task.etag,
            source_bytes=task.size_bytes,
            fingerprint=self._job.fingerprint,
            status=VIDEO_RESTORED if restored else UNCHANGED,
            stage=None,
            error=None,
            output=output.key,
            output_bytes=output.size_bytes,
            frames=len(labels.probability),
            blurred=int((labels.probability >= np.float32(self._job.options.threshold)).sum()),
            restored=restored,
            rejected=sum(outcome.action == REJECTED for outcome in outcomes),
            run_id=self._job.run_id,
            finished_at=int(time.time() * 1000),
            carried=result.carried,
            reencoded_because=result.reencoded_because,
        )

    def _write_manifest(
        self,
        task: VideoTask,
        planned: PlannedVideo,
        labels: SegmentLabels,
        outcomes: list[FrameOutcome],
        record: VideoRecord,
    ) -> None:
        index, options = planned.index, self._job.options
        segment = np.repeat([s.number for s in planned.segments], [s.frame_count for s in planned.segments])
        seconds = index.pts.astype(np.float64) * float(index.time_base)
        frames = VideoFrames(task.video, task.etag, index.pts, seconds, index.is_keyframe, segment)
        table = frame_manifest(frames, labels, options.threshold, outcomes, options.restorer)
        metadata = {
            "source_etag": task.etag,
            "labels_hash": self._job.labels_hash,
            "fingerprint": self._job.fingerprint,
            "record": json.dumps(asdict(record)),
        }
        self._stores.destination.put(self._job.manifest_key(task), to_bytes(table, metadata))
