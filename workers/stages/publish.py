"""Publish: the parts joined, everything else carried over, the result checked against its source, then one atomic put.

A video that nothing was changed in is copied byte for byte. The record beside the video follows it at once (`sealing`);
the manifest is written last: it says that all is there.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deblur_core.errors import AccessDeniedError, VerificationError
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
from deblur_core.provenance.proof import check
from deblur_core.provenance.sidecar import FileFacts, provenance_text, sidecar_key
from deblur_core.storage import ObjectInfo
from deblur_core.storage.hashing import sha256_of
from deblur_core.video.encoded_check import EncodedCheck
from deblur_core.video.picture_check import FrameWatch
from deblur_core.video.rebuild import CarriedFrames, rebuild
from workers.claims import claim, published_as
from workers.frame_checksums import publish_frame_checksums, remove_frame_checksums, watching_source
from workers.job import Job, SegmentTask, VideoTask, deblur_spans, suffix_of
from workers.leftovers import empty_work
from workers.planned_video import PlannedVideo, PlannedVideos, Stores, open_video
from workers.published import published_before
from workers.rebuilding import Rebuilding, encoded_whole, expected, rebuilding_of
from workers.results import Published
from workers.sealing import Actions, Rebuilt, Sealer
from workers.stages.assemble import AssembleStage

log = logging.getLogger(__name__)

_CHECKSUMS = "source.framemd5"


class PublishStage:
    """Makes a finished video visible under its final name."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        self._job, self._stores, self._videos = job, stores, videos
        self._sealer = Sealer(job, stores)

    def run(self, task: VideoTask) -> tuple[Published, bool]:
        """Raises VerificationError when the rebuilt file is not what it must be; nothing is published then."""
        before = published_before(self._job, self._stores, task)
        if before is not None:  # and the answer was lost
            empty_work(self._stores.work, task.video)
            return Published(before), True
        planned = self._videos.get(task)
        segments = [SegmentTask(task, s.number, s.first_frame, s.stop_frame) for s in planned.segments]
        labels = self._labels(task, planned)
        spans = [span for segment in segments for span in deblur_spans(segment)]
        blurred = labels.probability >= np.float32(self._job.options.threshold)
        restored = [span for span in spans if blurred[span.first_frame : span.stop_frame].any()]
        outcomes = [outcome for span in restored for outcome in self._outcomes(span)]
        actions = self._actions(labels, outcomes)
        with self._stores.destination.scratch_folder() as folder:
            if actions.restored:
                result, rebuilt = self._rebuild(task, planned, segments, actions, folder)
            else:
                result, rebuilt = self._copy(task, planned, actions), None
            record = self._record(task, labels, actions, result, rebuilt)
            self._remove_former(task, result.name)
            of_source = folder / _CHECKSUMS
            publish_frame_checksums(self._job, self._stores, task, planned, result.name, of_source)
        self._write_manifest(task, planned, labels, outcomes, record)
        empty_work(self._stores.work, task.video)
        return Published(record), False

    def _copy(self, task: VideoTask, planned: PlannedVideo, actions: Actions) -> FileFacts:
        key = self._job.output_key(task, rebuilt=False)
        with open_video(self._stores.source, task) as source:
            source_sha256 = sha256_of(source)
        version = ObjectInfo(task.video, task.size_bytes, task.etag, 0.0)
        claim(self._job, self._stores, task, key)
        copied = self._stores.destination.copy_from(self._stores.source, task.video, key, version)
        facts = FileFacts(key, copied.size_bytes, source_sha256)
        self._sealer.seal(task, planned, actions, facts, source_sha256, None)
        return facts

    def _rebuild(
        self, task: VideoTask, planned: PlannedVideo, segments: list[SegmentTask], actions: Actions, folder: Path
    ) -> tuple[FileFacts, Rebuilt]:
        how = rebuilding_of(self._job, task, planned, actions.restored)
        path = folder / f"result{suffix_of(how.key)}"
        try:
            rebuilt, source_sha256 = self._checked(self._job, task, planned, segments, how, path)
        except VerificationError as error:
            if how.because is not None:
                raise
            log.warning("%s: all of it is encoded, because joined it did not pass: %s", task.video, error)
            whole = replace(self._job, options=replace(self._job.options, reencode=True))
            how = rebuilding_of(whole, task, planned, actions.restored)
            how = encoded_whole(how, f"joined to the source's own packets it did not pass its check ({error})")
            assemble = AssembleStage(whole, self._stores, self._videos)
            for segment in segments:
                assemble.run(segment)
            rebuilt, source_sha256 = self._checked(whole, task, planned, segments, how, path)
        with path.open("rb") as file:
            facts = FileFacts(how.key, path.stat().st_size, sha256_of(file))
        claim(self._job, self._stores, task, how.key)
        self._stores.destination.put_file(how.key, path)
        path.unlink(missing_ok=True)
        self._sealer.seal(task, planned, actions, facts, source_sha256, rebuilt)
        return facts, rebuilt

    def _checked(
        self,
        job: Job,
        task: VideoTask,
        planned: PlannedVideo,
        segments: list[SegmentTask],
        how: Rebuilding,
        path: Path,
    ) -> tuple[Rebuilt, str]:
        """Writes `path` from the parts that `job` has, and checks it; returns the source's SHA-256, too."""
        parts = [
            self._opener(job.part_key(each)) for each, some in zip(segments, how.encoded, strict=True) if some.any()
        ]
        with open_video(self._stores.source, task) as source, open_video(self._stores.source, task) as again:
            carried = CarriedFrames(how.stay, again) if how.because is None else None
            says = provenance_text(how.key)
            rebuild(source, task.video, planned.info, planned.index, parts, path, how.key, how.slow, carried, says)
            with watching_source(job, planned, path.with_name(_CHECKSUMS)) as watch, ExitStack() as opened:
                if carried is not None:
                    encoded = opened.enter_context(closing(EncodedCheck(parts, how.stay, how.key)))
                    watch = FrameWatch(result=encoded.see)
                rebuilt = Rebuilt(how, *check(source, again, path, expected(planned, how), watch))
            return rebuilt, sha256_of(source)

    def _remove_former(self, task: VideoTask, output: str) -> None:
        """Takes away what an earlier run published under the video's other name (with or without `.mkv`)."""
        destination, former = self._stores.destination, published_as(self._job, self._stores, task)
        if former is None or former not in self._job.output_keys(task):
            return  # the latter: another run gave it a name of its own
        remove_frame_checksums(self._job, destination, former, output)
        if former == output:
            return
        try:
            for left in (former, sidecar_key(former)):
                if destination.exists(left):
                    destination.delete(left)
        except AccessDeniedError as cause:
            raise AccessDeniedError(
                f"{task.video} is published as {output} now, but its former {former} may not be deleted ({cause}): "
                "delete it and its record by hand and run again"
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
        """Of a span with blurred frames: without it nobody may say that none was restored."""
        key = self._job.outcome_key(span)
        return outcomes_from(from_bytes(self._stores.work.read(key), key)[0])

    def _actions(self, labels: SegmentLabels, outcomes: list[FrameOutcome]) -> Actions:
        restored, rejected = (
            [outcome.frame for outcome in outcomes if outcome.action == action] for action in (RESTORED, REJECTED)
        )
        blurred = int((labels.probability >= np.float32(self._job.options.threshold)).sum())
        return Actions(blurred, restored, rejected)

    def _record(
        self, task: VideoTask, labels: SegmentLabels, actions: Actions, result: FileFacts, rebuilt: Rebuilt | None
    ) -> VideoRecord:
        return VideoRecord(
            video=task.video,
            source_etag=task.etag,
            source_bytes=task.size_bytes,
            fingerprint=self._job.fingerprint,
            status=VIDEO_RESTORED if rebuilt is not None else UNCHANGED,
            stage=None,
            error=None,
            output=result.name,
            output_bytes=result.size_bytes,
            frames=len(labels.probability),
            blurred=actions.blurred,
            restored=len(actions.restored),
            rejected=len(actions.rejected),
            run_id=self._job.run_id,
            finished_at=int(time.time() * 1000),
            carried=int(rebuilt.how.stay.sum()) if rebuilt is not None else 0,
            reencoded_because=rebuilt.how.because if rebuilt is not None else None,
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
            "labels_hash": self._job.unforced.labels_hash,
            "fingerprint": self._job.fingerprint,
            "record": json.dumps(asdict(record)),
        }
        self._stores.destination.put(self._job.manifest_key(task), to_bytes(table, metadata))
