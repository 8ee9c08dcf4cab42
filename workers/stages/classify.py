"""Classify: how likely each frame of a segment is blurred. Decodes the segment once and looks at its luma alone."""

from functools import lru_cache

import numpy as np
import pyarrow as pa

from deblur_core.errors import ObjectNotFoundError
from deblur_core.manifests.frames import SegmentLabels, from_bytes, labels_from, labels_table, to_bytes
from deblur_core.models.registry import load_selector
from deblur_core.restoration import full_scale_luma
from deblur_core.video.decode import decode_frames
from workers.job import Job, SegmentTask, VideoTask, deblur_spans
from workers.planned_video import PlannedVideos, Stores, open_video
from workers.results import Classified


class ClassifyStage:
    """Tags frames; with a stride N it measures the middle frame of every N and gives its label to all of them."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        self._job, self._stores, self._videos = job, stores, videos
        self._selector = load_selector(job.options.selector, job.device)
        self._manifest = lru_cache(maxsize=4)(self._read_manifest)

    def run(self, task: SegmentTask) -> tuple[Classified, bool]:
        """Raises DamagedVideoError when the segment does not decode to the frames of its index."""
        key = self._job.labels_key(task.video, task.first_frame, task.stop_frame)
        try:
            table, _ = from_bytes(self._stores.work.read(key), key)
            labels, reused = labels_from([table], task.first_frame, task.stop_frame), True
        except ObjectNotFoundError:
            labels, reused = self._labels(task)
            self._stores.work.put(key, to_bytes(labels_table(labels), {"schema": "restore-archive/labels"}))
        blurred = labels.probability >= np.float32(self._job.options.threshold)
        spans = deblur_spans(task)
        counts = (blurred[s.first_frame - task.first_frame : s.stop_frame - task.first_frame].sum() for s in spans)
        return Classified(tuple(int(count) for count in counts)), reused

    def _labels(self, task: SegmentTask) -> tuple[SegmentLabels, bool]:
        manifest = self._manifest(task.video)
        if manifest is not None:
            return labels_from([manifest], task.first_frame, task.stop_frame), True
        return self._measure(task), False

    def _measure(self, task: SegmentTask) -> SegmentLabels:
        measured, owner = measured_frames(task.frame_count, self._job.options.stride)
        seen = seen_frames(measured, self._selector.context_frames)
        features = []
        with open_video(self._stores.source, task.video) as file:
            index = self._videos.get(task.video).index
            for number, frame in decode_frames(file, index, task.first_frame, task.stop_frame, task.video.video):
                if seen[number - task.first_frame]:
                    features.append(self._selector.frame_features(full_scale_luma(frame)))
        probability = np.zeros(task.frame_count, np.float32)
        probability[seen] = self._selector.probabilities(features)
        return SegmentLabels(task.first_frame, probability[owner], measured)

    def _read_manifest(self, video: VideoTask) -> pa.Table | None:
        """The labels of an earlier run with the same selector over the same version: another restorer needs no new."""
        key = self._job.manifest_key(video)
        try:
            table, metadata = from_bytes(self._stores.destination.read(key), key)
        except ObjectNotFoundError:
            return None
        same = metadata.get("labels_hash") == self._job.labels_hash and metadata.get("source_etag") == video.etag
        return table if same else None


def measured_frames(count: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` frames are measured (bool [count]) and whose label each gets (int [count]).

    The middle frame of every `stride` speaks for its group (DeblurNet, Table 9); the last group may be shorter.
    """
    numbers = np.arange(count)
    start = numbers // stride * stride
    stop = np.minimum(start + stride, count)
    owner = start + (stop - start) // 2
    return owner == numbers, owner


def seen_frames(measured: np.ndarray, least: int) -> np.ndarray:
    """bool [T]: the measured frames; where they are fewer than `least`, so many spread over all T besides, that the
    selector may judge these by them."""
    seen = measured.copy()
    if measured.sum() < least:
        seen[np.linspace(0, len(measured) - 1, min(least, len(measured))).round().astype(int)] = True
    return seen
