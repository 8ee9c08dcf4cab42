"""What a run is asked to do, as it travels to every worker, and the keys under which each stage keeps its output.

A key holds everything its content depends on: the source's ETag, the frame range, the models' hashes and the settings
that matter. So a stage is done when its object exists, whoever made it and when.
"""

import hashlib
import json
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import PurePosixPath

from deblur_core.models.registry import find_restorer, find_selector, released_hash
from deblur_core.verdict import VerdictLimits
from deblur_core.video.preservation import MASTER_CODEC, master_name
from deblur_core.video.rebuild import output_name

PIPELINE_VERSION = "2"
"""Raise it when the same settings and weights would give other pixels or labels."""

FRAMES_VERSION = "2"
"""Raise it when labels would be the same and only restored frames other."""

META = "_restore"

VERSION = "[0-9a-f]{16}"
"""What the name of a version of a video looks like in the work store; no video is called so."""


@dataclass(frozen=True)
class RestoreOptions:
    """The settings that decide what comes out; the same names as the settings of the command line.

    weights: the restorer's, if not the released ones: a file that every machine sees, with this hash. slow_motion: how
    many moments each restored frame becomes, as many as the restorer gives; 1 is off. reencode: encode untouched GOPs
    of a video with restored frames, too.
    """

    restorer: str = "default"
    weights: str | None = None
    weights_sha256: str | None = None
    selector: str = "default"
    threshold: float = 0.5
    stride: int = 1
    codec: str = "auto"
    crf: float | None = None
    segment_frames: int = 300
    slow_motion: int = 1
    reencode: bool = False
    limits: VerdictLimits = field(default_factory=VerdictLimits)

    @property
    def verdict_limits(self) -> VerdictLimits:
        """`limits`; where sharp frames are asked for, too (a threshold of 0), or moments, it need not be blur that was
        taken away."""
        if self.threshold > 0 and self.slow_motion == 1:
            return self.limits
        return replace(self.limits, unexplained=1.0)


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One video of the archive: its key relative to the source, its version and size."""

    video: str
    etag: str
    size_bytes: int


@dataclass(frozen=True)
class SegmentTask:
    """A segment of a video, or a span of one; first_frame and stop_frame in presentation order."""

    video: VideoTask
    number: int
    first_frame: int
    stop_frame: int

    @property
    def frame_count(self) -> int:
        return self.stop_frame - self.first_frame


DEBLUR_FRAMES = 32


def deblur_spans(task: SegmentTask) -> list[SegmentTask]:
    """A segment cut for the deblur stage, which is a hundred times slower than decoding: a long GOP then keeps every
    GPU busy, and little is done twice after a kill. The cuts depend on the frame numbers alone."""
    starts = [*range(task.first_frame, task.stop_frame, DEBLUR_FRAMES), task.stop_frame]
    return [replace(task, first_frame=start, stop_frame=stop) for start, stop in pairwise(starts)]


@dataclass(frozen=True)
class Job:
    """Where a run reads, writes and keeps its state, and with which options.

    salt: empty, or unique under `--force`, so that nothing done before counts. rename: the published name of the one
    video of a run from file to file.
    """

    run_id: str
    source_url: str
    destination_url: str
    work_url: str
    options: RestoreOptions
    device: str = "auto"
    salt: str = ""
    rename: str | None = None

    @property
    def labels_hash(self) -> str:
        """Of all that labels depend on."""
        options = self.options
        return self._hash(
            released_hash(find_selector(options.selector).weights), options.stride, options.segment_frames
        )

    @property
    def frames_hash(self) -> str:
        """Of all that restored frames depend on."""
        options = self.options
        weights = options.weights_sha256 or released_hash(find_restorer(options.restorer).weights)
        # Left out while it is off: what was restored before there was slow motion counts.
        slow_motion = [options.slow_motion] if options.slow_motion > 1 else []
        return self._hash(
            FRAMES_VERSION,
            self.labels_hash,
            options.threshold,
            options.restorer,
            weights,
            asdict(options.limits),
            *slow_motion,
        )

    @property
    def parts_hash(self) -> str:
        """Of all that encoded parts depend on."""
        reencode = ["reencode"] if self.options.reencode else []
        return self._hash(self.frames_hash, self.options.codec, self.options.crf, *reencode)

    @property
    def fingerprint(self) -> str:
        """Of all that a published video depends on: the same under `--force`, so that later runs know it as done."""
        return self.unforced.parts_hash

    @property
    def unforced(self) -> "Job":
        """The same without `--force`: what later runs look for."""
        return replace(self, salt="")

    def _hash(self, *parts: object) -> str:
        text = json.dumps([PIPELINE_VERSION, self.salt, *parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def video_prefix(self, video: VideoTask) -> str:
        """Everything kept about this version of a video, in the work store: VERSION under its name."""
        return f"{video.video}/{hashlib.sha256(video.etag.encode()).hexdigest()[:16]}/"

    def index_key(self, video: VideoTask) -> str:
        return f"{self.video_prefix(video)}index-4.parquet"

    def labels_key(self, video: VideoTask, first: int, stop: int) -> str:
        return f"{self.video_prefix(video)}labels-{self.labels_hash}/{first:09d}-{stop:09d}.parquet"

    def outcome_key(self, task: SegmentTask) -> str:
        return f"{self._frames_prefix(task)}.parquet"

    def overlay_key(self, task: SegmentTask) -> str:
        return f"{self._frames_prefix(task)}.mkv"

    def _frames_prefix(self, task: SegmentTask) -> str:
        return f"{self.video_prefix(task.video)}frames-{self.frames_hash}/{task.first_frame:09d}-{task.stop_frame:09d}"

    def part_key(self, task: SegmentTask) -> str:
        prefix = self.video_prefix(task.video)
        kind = "part" if self.options.reencode else "gops-2"
        return f"{prefix}{kind}-{self.parts_hash}/{task.first_frame:09d}-{task.stop_frame:09d}.mkv"

    def manifest_key(self, video: VideoTask) -> str:
        """In the destination."""
        return f"{META}/manifests/{video.video}/frames.parquet"

    def output_keys(self, video: VideoTask) -> tuple[str, ...]:
        """All that `output_key` gives with one setting or another: what an earlier run may have published it as."""
        key = self.rename or video.video
        return tuple(dict.fromkeys((key, output_name(key), master_name(key))))

    def output_key(self, video: VideoTask, rebuilt: bool) -> str:
        """In the destination: the source's own name, or the name of the container that holds a rebuilt video."""
        key = self.rename or video.video
        if not rebuilt:
            return key
        return master_name(key) if self.options.codec == MASTER_CODEC else output_name(key)


def new_run_id() -> str:
    """Sorts by time, and is unique."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def suffix_of(key: str) -> str:
    """The file name extension of a key, lower case, with its dot."""
    return PurePosixPath(key).suffix.lower()
