"""What travels between the driver and the stages: calls there, results back; a few hundred bytes, never frames."""

from dataclasses import dataclass
from typing import Any

from deblur_core.manifests.videos import VideoRecord


@dataclass(frozen=True)
class Call:
    """One piece of work: a stage and its task. `order`: that of its `VideoState`, so that what a video that has failed
    left behind is not taken for work of the same video submitted again. `frames`: those it works on."""

    stage: str
    task: Any
    order: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Cost:
    """seconds: wall time spent in the actor; reused: the output was there already and nothing was done."""

    seconds: float
    reused: bool


@dataclass(frozen=True)
class Planned:
    """A video's segments as (first_frame, stop_frame). `record` is set when it was already published as asked;
    `cannot_rebuild` says why its frames must not be replaced, should any turn out blurred; `frame_pixels`: of one."""

    segments: tuple[tuple[int, int], ...]
    record: VideoRecord | None
    cannot_rebuild: str | None
    frame_pixels: int = 0


@dataclass(frozen=True)
class Classified:
    """blurred: frames at or above the threshold, for each of the segment's `deblur_spans`."""

    blurred: tuple[int, ...]


@dataclass(frozen=True)
class Deblurred:
    restored: int
    rejected: int


@dataclass(frozen=True)
class Assembled:
    size_bytes: int


@dataclass(frozen=True)
class Published:
    record: VideoRecord


StageResult = Planned | Classified | Deblurred | Assembled | Published


@dataclass(frozen=True)
class VideoOutcome:
    """The end of one video. `skipped`: it had been published before, nothing was done."""

    record: VideoRecord
    skipped: bool = False
