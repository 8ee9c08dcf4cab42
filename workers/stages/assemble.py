"""Assemble: a segment's frames, restored ones in the place of their originals, encoded as one part of the new video.

Where the packets of untouched GOPs can stay as they are, a part holds the frames of the others only, and a segment
without a restored frame has none.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.errors import ObjectNotFoundError
from deblur_core.manifests.frames import RESTORED, FrameOutcome, from_bytes, outcomes_from
from deblur_core.storage.scratch import temporary_folder
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import encode_segment
from deblur_core.video.frame_side_data import replaced_picture, require_kept
from deblur_core.video.independent_gops import gop_starts
from deblur_core.video.overlay import read_overlay
from deblur_core.video.slow_motion import frame_of
from workers.job import Job, SegmentTask, deblur_spans
from workers.planned_video import PlannedVideos, Stores, open_video
from workers.results import Assembled
from workers.stages.encoding import encoded_frames, encoding_of


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
            return self._encode(task, key)

    def _encode(self, task: SegmentTask, key: str) -> tuple[Assembled, bool]:
        planned = self._videos.get(task.video)
        encoding = encoding_of(self._job, task.video, planned)
        spans = [(span, outcomes) for span in deblur_spans(task) if (outcomes := self._restored(span))]
        restored = [outcome for _, outcomes in spans for outcome in outcomes]
        marks = np.zeros(task.frame_count, bool)
        marks[[outcome.frame - task.first_frame for outcome in restored]] = True
        encoded = encoded_frames(planned, encoding, task, marks)
        if not encoded.any():
            return Assembled(0), False
        runs = [(task.first_frame + start, task.first_frame + stop) for start, stop in _runs(encoded)]
        starts: set[int] = set()
        if encoding.whole_because is None and planned.index.gop is not None:
            starts = gop_starts(planned.index.gop, np.flatnonzero(encoded) + task.first_frame)
        moments = self._job.options.slow_motion
        marks = np.repeat(marks[encoded], np.where(marks[encoded], moments, 1))
        backwards = {outcome.frame for outcome in restored if outcome.backwards}
        with temporary_folder() as folder, ExitStack() as files:
            source = files.enter_context(open_video(self._stores.source, task.video))
            decoded = chain.from_iterable(
                decode_frames(source, planned.index, start, stop, task.video.video) for start, stop in runs
            )
            overlays = in_order(self._overlays([span for span, _ in spans]), moments, backwards)
            kept = _kept(decoded, encoding.choice.encoder, task.video.video)
            frames = (frame for _, frame in overlaid(kept, overlays, task.video.video))
            path = Path(folder) / "part.mkv"
            encode_segment(frames, marks, planned.info, encoding.choice, path, starts)
            return Assembled(self._stores.work.put_file(key, path).size_bytes), False

    def _overlays(self, spans: list[SegmentTask]) -> Iterator[tuple[int, VideoFrame]]:
        """What the overlays of all spans hold, in order, one open at a time."""
        for span in spans:
            with self._stores.work.open(self._job.overlay_key(span)) as overlay:
                yield from read_overlay(overlay)

    def _restored(self, task: SegmentTask) -> list[FrameOutcome]:
        """Of the frames that the span's overlay replaces; a span without blurred frames has no outcome."""
        key = self._job.outcome_key(task)
        try:
            table, _ = from_bytes(self._stores.work.read(key), key)
        except ObjectNotFoundError:
            return []
        return [outcome for outcome in outcomes_from(table) if outcome.action == RESTORED]


def _runs(marks: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the runs of true in bool [n]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _kept(decoded: Iterator[tuple[int, VideoFrame]], encoder: str, name: str) -> Iterator[tuple[int, VideoFrame]]:
    """Raises DeclinedVideoError at a frame that carries what the encoder cannot write."""
    for number, frame in decoded:
        require_kept(frame, encoder, number, name)
        yield number, frame


def in_order(
    overlay: Iterator[tuple[int, VideoFrame]], moments: int, backwards: set[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """The overlay's frames under the numbers of those that they replace, `moments` for each, in order of time: the
    moments of the frames in `backwards` are stored last first."""
    for frame, stored in groupby(overlay, key=lambda entry: frame_of(entry[0], moments)):
        pictures = [picture for _, picture in stored]
        for picture in reversed(pictures) if frame in backwards else pictures:
            yield frame, picture


def overlaid(
    decoded: Iterator[tuple[int, VideoFrame]], overlay: Iterator[tuple[int, VideoFrame]], name: str
) -> Iterator[tuple[int, VideoFrame]]:
    """The decoded frames with those of the overlay (numbers never fall) in their places, one or several for one.

    Raises ValueError if a frame of the overlay finds no place.
    """
    upcoming = next(overlay, None)
    for number, frame in decoded:
        if upcoming is None or upcoming[0] != number:
            yield number, frame
        carrier: VideoFrame | None = frame
        while upcoming is not None and upcoming[0] == number:
            yield number, upcoming[1] if carrier is None else replaced_picture(carrier, upcoming[1])
            carrier = None  # captions are shown once, with the first of several moments
            upcoming = next(overlay, None)
    if upcoming is not None:
        raise ValueError(f"{name}: the overlay holds frame {upcoming[0]}, which is not in this segment")
