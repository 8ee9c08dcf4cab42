"""Assemble: a segment's frames, restored ones in the place of their originals, encoded as one part of the new video."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.errors import ObjectNotFoundError
from deblur_core.manifests.frames import RESTORED, from_bytes, outcomes_from
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import EncodeSettings, choose_encoder, encode_segment
from deblur_core.video.overlay import read_overlay
from workers.job import Job, SegmentTask, deblur_spans, suffix_of
from workers.planned_video import PlannedVideos, Stores, open_video
from workers.results import Assembled


class AssembleStage:
    """Encodes segments; all the parts of a video use one encoder set-up, so that they can be joined without loss."""

    def __init__(self, job: Job, stores: Stores, videos: PlannedVideos) -> None:
        self._job, self._stores, self._videos = job, stores, videos

    def run(self, task: SegmentTask) -> tuple[Assembled, bool]:
        """Raises DeclinedVideoError when the video cannot be encoded as what it is."""
        key = self._job.part_key(task)
        try:
            return Assembled(self._stores.work.head(key).size_bytes), True
        except ObjectNotFoundError:
            return Assembled(self._encode(task, key)), False

    def _encode(self, task: SegmentTask, key: str) -> int:
        planned = self._videos.get(task.video)
        options = self._job.options
        suffix = suffix_of(self._job.output_key(task.video, rebuilt=True))
        choice = choose_encoder(planned.info, suffix, EncodeSettings(codec=options.codec, crf=options.crf))
        spans = [(span, numbers) for span in deblur_spans(task) if (numbers := self._restored_numbers(span))]
        restored = [number for _, numbers in spans for number in numbers]
        marks = np.zeros(task.frame_count, bool)
        marks[[number - task.first_frame for number in restored]] = True
        with TemporaryDirectory(prefix="restore-archive-") as folder, ExitStack() as files:
            source = files.enter_context(open_video(self._stores.source, task.video))
            decoded = decode_frames(source, planned.index, task.first_frame, task.stop_frame, task.video.video)
            decoded = overlaid(decoded, self._overlays([span for span, _ in spans]), task.video.video)
            path = Path(folder) / "part.mkv"
            encode_segment((frame for _, frame in decoded), marks, planned.info, choice, path)
            return self._stores.work.put_file(key, path).size_bytes

    def _overlays(self, spans: list[SegmentTask]) -> Iterator[tuple[int, VideoFrame]]:
        """The restored frames of all spans in order, one overlay open at a time."""
        for span in spans:
            with self._stores.work.open(self._job.overlay_key(span)) as overlay:
                yield from read_overlay(overlay)

    def _restored_numbers(self, task: SegmentTask) -> list[int]:
        """Frames that the span's overlay replaces; a span without blurred frames has no outcome."""
        key = self._job.outcome_key(task)
        try:
            table, _ = from_bytes(self._stores.work.read(key), key)
        except ObjectNotFoundError:
            return []
        return [outcome.frame for outcome in outcomes_from(table) if outcome.action == RESTORED]


def overlaid(
    decoded: Iterator[tuple[int, VideoFrame]], overlay: Iterator[tuple[int, VideoFrame]], name: str
) -> Iterator[tuple[int, VideoFrame]]:
    """The decoded frames with those of the overlay (rising numbers) in their places.

    Raises ValueError if a frame of the overlay finds no place.
    """
    upcoming = next(overlay, None)
    for number, frame in decoded:
        if upcoming is not None and upcoming[0] == number:
            yield upcoming
            upcoming = next(overlay, None)
        else:
            yield number, frame
    if upcoming is not None:
        raise ValueError(f"{name}: the overlay holds frame {upcoming[0]}, which is not in this segment")
