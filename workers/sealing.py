"""Seals published videos: writes the record that says what each is made of, beside it.

The record is taken away before its video is replaced and written after it: a published video with a record is complete
and is what the record says; one without is on its way, or a run was stopped. The next run then seals it, if it proves
to be what its manifest says, or makes it again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from deblur_core.errors import ObjectNotFoundError, VerificationError
from deblur_core.manifests.frames import REJECTED, RESTORED
from deblur_core.manifests.videos import VideoRecord
from deblur_core.models.registry import find_restorer, find_selector, released_hash
from deblur_core.provenance.proof import check
from deblur_core.provenance.sidecar import (
    Carried,
    Checked,
    Converted,
    FileFacts,
    Frames,
    Model,
    Sidecar,
    ranges_of,
    sidecar_key,
    to_bytes,
)
from deblur_core.provenance.versions import versions
from deblur_core.storage.hashing import sha256_of
from deblur_core.video.containers import muxer_for
from deblur_core.video.independent_gops import NOWHERE
from deblur_core.video.index import index_video, plan_segments
from deblur_core.video.probe import probe
from deblur_core.video.provenance_tag import ProvenanceTag
from deblur_core.video.verify import Findings
from workers.job import Job, VideoTask
from workers.planned_video import PlannedVideo, Stores, open_video
from workers.rebuilding import Rebuilding, encoded_whole, expected, rebuilding_of


@dataclass(frozen=True)
class Actions:
    """What became of the blurred frames of a video, by frame number."""

    blurred: int
    restored: Sequence[int]
    rejected: Sequence[int]


@dataclass(frozen=True)
class Rebuilt:
    """How a video with restored frames was made, and what its check found."""

    how: Rebuilding
    findings: Findings
    tag: ProvenanceTag | None


def is_sealed(stores: Stores, published: str) -> bool:
    """Whether the video has a record."""
    try:
        return stores.destination.head(sidecar_key(published)).size_bytes > 0
    except ObjectNotFoundError:
        return False


class Sealer:
    """Writes the records of one run's videos."""

    def __init__(self, job: Job, stores: Stores) -> None:
        self._job, self._stores = job, stores

    def seal(
        self,
        task: VideoTask,
        planned: PlannedVideo,
        actions: Actions,
        result: FileFacts,
        source_sha256: str,
        rebuilt: Rebuilt | None,
        later: bool = False,
    ) -> None:
        """Puts the record beside `result`. rebuilt: None for a copy; later: the video was published by another run."""
        count = planned.index.frame_count
        sidecar = Sidecar(
            written_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            written_later=later,
            run_id=self._job.run_id,
            versions=versions(),
            source=FileFacts(task.video, task.size_bytes, source_sha256, task.etag),
            result=result,
            selector=Model(
                self._job.options.selector, released_hash(find_selector(self._job.options.selector).weights)
            ),
            restorer=Model(self._job.options.restorer, self._restorer_hash()),
            settings=self._settings(),
            frames=Frames(
                total=count,
                blurred=actions.blurred,
                restored=len(actions.restored),
                rejected=len(actions.rejected),
                in_result=rebuilt.findings.frames if rebuilt is not None else count,
                restored_ranges=_ranges(actions.restored, count),
                rejected_ranges=_ranges(actions.rejected, count),
            ),
            carried=_carried(planned, rebuilt),
            converted=_converted(planned, rebuilt) if rebuilt is not None else (),
            dropped=rebuilt.findings.lost if rebuilt is not None else (),
            checked=_checked(rebuilt.findings) if rebuilt is not None else None,
            embedded_tag=rebuilt.tag if rebuilt is not None else None,
        )
        self._stores.destination.put(sidecar_key(result.name), to_bytes(sidecar))

    def heal(self, task: VideoTask, table: pa.Table, row: VideoRecord) -> None:
        """Seals a video that was published without a record, once it is proved to be what its manifest says.

        table, row: its frame manifest, and its row in videos.parquet, which has an output. Raises VerificationError or
        another VideoError where it is not.
        """
        assert row.output is not None
        actions, output = actions_of(table), row.output
        published = self._stores.destination.head(output)
        with (
            open_video(self._stores.source, task) as file,
            open_video(self._stores.source, task) as again,
            self._stores.destination.open(output, published) as result,
        ):
            info = probe(file, task.video)
            index = index_video(file, task.video, info)
            planned = PlannedVideo(info, index, plan_segments(index, self._job.options.segment_frames))
            source_sha256 = sha256_of(file)
            facts = FileFacts(output, published.size_bytes, sha256_of(result))
            rebuilt = None
            if actions.restored:
                how = rebuilding_of(self._job, task, planned, actions.restored)
                if not row.carried and how.because is None:
                    how = encoded_whole(how, row.reencoded_because or "an earlier version encoded all of it")
                rebuilt = Rebuilt(how, *check(file, again, result, expected(planned, how)))
            elif facts.sha256 != source_sha256:
                raise VerificationError(f"{output}: is no copy of its source, although no frame of it was restored")
        self.seal(task, planned, actions, facts, source_sha256, rebuilt, later=True)

    def _restorer_hash(self) -> str:
        options = self._job.options
        return options.weights_sha256 or released_hash(find_restorer(options.restorer).weights)

    def _settings(self) -> dict[str, object]:
        """Those that decide the result, without what is said elsewhere and without paths."""
        told = {"restorer", "selector", "weights", "weights_sha256"}
        options = {name: value for name, value in asdict(self._job.options).items() if name not in told}
        return {**options, "fingerprint": self._job.fingerprint}


def actions_of(table: pa.Table) -> Actions:
    """From a frame manifest."""
    action = np.array(table["action"].to_pylist(), dtype=object)
    restored, rejected = (np.flatnonzero(action == each).tolist() for each in (RESTORED, REJECTED))
    return Actions(int(np.sum(table["is_blurred"].to_numpy(zero_copy_only=False))), restored, rejected)


def _ranges(frames: Sequence[int], count: int) -> tuple[tuple[int, int], ...]:
    marks = np.zeros(count, bool)
    marks[list(frames)] = True
    return ranges_of(marks)


def _carried(planned: PlannedVideo, rebuilt: Rebuilt | None) -> Carried:
    index = planned.index
    if rebuilt is None:
        return Carried(True, index.frame_count, ((0, index.frame_count - 1),), None, None, (), 0)
    stay = rebuilt.how.stay if rebuilt.how.because is None else np.zeros(index.frame_count, bool)
    gops = whole = None
    if index.gop is not None:
        gops = len(set(index.gop[index.gop != NOWHERE].tolist()))
        whole = gops - len(set(index.gop[(index.gop != NOWHERE) & ~stay].tolist()))
    others = rebuilt.findings.others
    return Carried(False, int(stay.sum()), ranges_of(stay), whole, gops, others.streams, others.chapters)


def _converted(planned: PlannedVideo, rebuilt: Rebuilt) -> tuple[Converted, ...]:
    info, how, muxer = planned.info, rebuilt.how, muxer_for(rebuilt.how.key)
    choice, count = how.encoding.choice, planned.index.frame_count
    encoded = count if how.because else int((~how.stay).sum())
    reason = f"; none stays byte for byte, because {how.because}" if how.because else ""
    fineness = (
        "without loss"
        if choice.encoder == "ffv1"
        else f"restored ones at crf {choice.crf:g}, others nearly without loss"
    )
    found = [
        Converted(
            what=f"video stream {info.stream_index}",
            before=f"{info.codec} {info.pixel_format}",
            after=f"{choice.encoder} {choice.pixel_format}",
            how=f"{encoded} of {count} frames were encoded again, {fineness}{reason}",
        )
    ]
    if muxer not in info.container.split(","):
        found.append(Converted("container", info.container, muxer, "all packets were put into the other container"))
    found += [
        Converted(
            what=f"audio stream {sound.index}",
            before=sound.before,
            after=sound.after,
            how=f"the container does not hold it as it was; all {sound.samples} samples are the same",
        )
        for sound in rebuilt.findings.others.sounds
    ]
    found += [
        Converted(what, "in the source", "in the result", "the container's muxer made it anew from what it stands for")
        for what in rebuilt.findings.others.rewritten
    ]
    return tuple(found)


def _checked(findings: Findings) -> Checked:
    assert findings.pictures is not None
    return Checked(
        frames=findings.frames,
        largest_time_error_seconds=findings.largest_time_error_seconds,
        largest_offset_change_seconds=findings.others.offset_change_seconds,
        untouched_pictures=findings.pictures,
        video_packets_identical=findings.carried,
        other_packets_identical=sum(stream.packets for stream in findings.others.streams),
    )
