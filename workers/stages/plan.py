"""Plan: what the video is, when its frames are shown and where it can be cut. Reads all packets, decodes one frame.

What was published as asked before is not planned again; if its record is missing, it gets one here.
"""

from deblur_core.errors import DeclinedVideoError
from deblur_core.provenance.sidecar import sidecar_key
from deblur_core.video.encode import EncodeSettings, choose_encoder
from deblur_core.video.held_streams import refusal
from deblur_core.video.index import VideoIndex, index_video, plan_segments
from deblur_core.video.probe import VideoInfo, probe
from workers.claims import refuse_if_occupied
from workers.job import Job, VideoTask, suffix_of
from workers.leftovers import empty_work
from workers.planned_video import PlannedVideos, Stores, index_from_bytes, index_to_bytes, open_video
from workers.published import published_before
from workers.results import Planned


class PlanStage:
    """Cuts a video into segments of whole closed GOPs."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        self._job, self._stores = job, stores

    def run(self, task: VideoTask) -> tuple[Planned, bool]:
        """Raises NotAVideoError, DamagedVideoError or DeclinedVideoError for what cannot be planned."""
        # A name that leaves no room for the record's is told now, not after hours of work.
        self._stores.destination.exists(sidecar_key(self._job.output_key(task, rebuilt=True)))
        names = {self._job.output_key(task, rebuilt) for rebuilt in (False, True)}
        if len(names) == 1:  # else nobody knows yet which of them it will be
            refuse_if_occupied(self._job, self._stores, task, *names)
        record = published_before(self._job, self._stores, task)
        if record is not None:
            empty_work(self._stores.work, task.video)  # a kill may have kept publish from it
            return Planned((), record, None), True
        with open_video(self._stores.source, task) as file:
            info = probe(file, task.video)
            reused = self._stores.work.exists(self._job.index_key(task))
            if reused:
                index = index_from_bytes(self._stores.work.read(self._job.index_key(task)), self._job.index_key(task))
            else:
                index = index_video(file, task.video, info)
                self._stores.work.put(self._job.index_key(task), index_to_bytes(index))
        segments = plan_segments(index, self._job.options.segment_frames)
        spans = tuple((segment.first_frame, segment.stop_frame) for segment in segments)
        return Planned(spans, None, self._cannot_rebuild(task, info, index), info.width * info.height), reused

    def _cannot_rebuild(self, task: VideoTask, info: VideoInfo, index: VideoIndex) -> str | None:
        options = self._job.options
        key = self._job.output_key(task, rebuilt=True)
        if key != task.video and self._job.rename is None and self._stores.source.exists(key):
            return f"{task.video}: restored it would be called {key}, which is another file of the archive: rename one"
        try:
            suffix = suffix_of(key)
            choose_encoder(info, suffix, EncodeSettings(codec=options.codec, crf=options.crf))
        except DeclinedVideoError as reason:
            return str(reason)
        with open_video(self._stores.source, task) as file:
            return refusal(file, task.video, index, key)
