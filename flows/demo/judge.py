"""Measures what came of the demonstration's archive: labels and pixels against the truth, and every promise of a run.

It reads what any user can read: the source, the published videos and the frame manifests. Knows no restorer and no
selector, and nothing of how the run was started.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from deblur_core.manifests.frames import REJECTED, RESTORED, from_bytes
from deblur_core.metrics import psnr
from deblur_core.video.colour import to_rgb
from deblur_core.video.source import open_input
from flows.demo.archive import truth_path

_SPOILT_DB = 0.1


@dataclass(frozen=True)
class Judgement:
    """One video. labels, found: bool [T], blurred in truth and by the manifest; restored, rejected: frames by action.

    before_db, after_db: float64 [T], PSNR of the source's and of the published frame against the truth, NaN throughout
    where the published file is a byte copy (`copied`). `broken`: the promises that were not kept, a line each; empty is
    what we want. `measured` is false where so much is broken that there was nothing to measure: then only `video`,
    `labels` and `broken` say anything.
    """

    video: str
    labels: np.ndarray
    found: np.ndarray
    restored: int
    rejected: int
    before_db: np.ndarray
    after_db: np.ndarray
    copied: bool
    broken: tuple[str, ...]
    measured: bool = True

    @property
    def hits(self) -> int:
        return int((self.labels & self.found).sum())

    @property
    def missed(self) -> int:
        return int((self.labels & ~self.found).sum())

    @property
    def false_alarms(self) -> int:
        return int((~self.labels & self.found).sum())

    @property
    def spoilt(self) -> int:
        """Frames, blurred or not, that were published worse than they came, by more than 0.1 dB."""
        return int((self.after_db < self.before_db - _SPOILT_DB).sum())

    @property
    def mean_db(self) -> tuple[float, float] | None:
        """Mean PSNR of the truly blurred frames before and after; None where there is none or nothing was done."""
        if self.copied or not self.labels.any():
            return None
        return float(self.before_db[self.labels].mean()), float(self.after_db[self.labels].mean())


def manifest_path(directory: Path, video: str) -> Path:
    return directory / "restored" / "_restore" / "manifests" / video / "frames.parquet"


def judge(directory: Path, video: str, labels: np.ndarray) -> Judgement:
    """Judges one video of `directory` (archive, truth and restored lie in it) against its labels, bool [T].

    A published file or manifest that is missing or of another length is named in `broken`, and nothing is measured.
    """
    source, published = directory / "archive" / video, directory / "restored" / video
    manifest = manifest_path(directory, video)
    missing = [f"{path} was not written" for path in (published, manifest) if not path.is_file()]
    if missing:
        return _not_measured(video, labels, missing)
    broken = _differences(source, published)
    table, _ = from_bytes(manifest.read_bytes(), str(manifest))
    if table.num_rows != len(labels):
        broken.append(f"the manifest has {table.num_rows} rows for {len(labels)} frames")
    copied = _digest(source) == _digest(published)
    quality = _quality(directory, video, len(labels), copied)
    if quality is None:
        broken.append(f"the published video does not decode to its {len(labels)} frames")
    if broken or quality is None:
        return _not_measured(video, labels, broken)
    before, after = quality
    if labels.any() and not after[labels].mean() > before[labels].mean():
        broken.append("its blurred frames did not come out better on average")
    if not labels.any() and not copied:
        broken.append("no frame is blurred, yet the published file is not a byte copy of its source")
    actions = table["action"].to_pylist()
    found = table["is_blurred"].to_numpy(zero_copy_only=False)
    counts = actions.count(RESTORED), actions.count(REJECTED)
    return Judgement(video, labels, found, *counts, before, after, copied, tuple(broken))


def _quality(directory: Path, video: str, frames: int, copied: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """PSNR of every frame before and after, float64 [T]; NaN for a copy, None where frames do not decode."""
    if copied:
        return np.full(frames, np.nan), np.full(frames, np.nan)
    decibels = np.array([(psnr(a, truth), psnr(b, truth)) for _, a, b, truth in triples(directory, video)])
    return (decibels[:, 0], decibels[:, 1]) if len(decibels) == frames else None


def triples(directory: Path, video: str) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields (frame number, source, published, truth) in step, each uint8 RGB [H, W, 3], until one of them ends."""
    paths = directory / "archive" / video, directory / "restored" / video, truth_path(directory, video)
    for number, frames in enumerate(zip(*map(_frames, paths), strict=False)):
        yield number, *frames


def _not_measured(video: str, labels: np.ndarray, broken: list[str]) -> Judgement:
    nothing = np.full(len(labels), np.nan)
    return Judgement(video, labels, np.zeros(len(labels), bool), 0, 0, nothing, nothing, False, tuple(broken), False)


def _frames(path: Path) -> Iterator[np.ndarray]:
    with open_input(path, path.name) as container:
        for frame in container.decode(video=0):
            yield to_rgb(frame)


def _differences(source: Path, published: Path) -> list[str]:
    """What must be the same in both files and is not: number and times of the frames, sound packets."""
    taken, result = _Streams(source), _Streams(published)
    found = []
    if len(taken.frame_times) != len(result.frame_times):
        found.append(f"{len(taken.frame_times)} frames went in, {len(result.frame_times)} came out")
    elif taken.frame_times != result.frame_times:
        found.append("frames are shown at other times than in the source")
    if taken.sound != result.sound:
        found.append("the sound is not the source's, packet by packet")
    return found


class _Streams:
    """When the frames of a file are shown, in exact seconds and in order, and its sound as (seconds, digest)."""

    def __init__(self, path: Path) -> None:
        times: list[Fraction] = []
        self.sound: list[tuple[Fraction, bytes]] = []
        with open_input(path, path.name) as container:
            for packet in container.demux(container.streams.video[0], *container.streams.audio):
                if not packet.size or packet.pts is None or packet.time_base is None:
                    continue
                at = packet.pts * packet.time_base
                if packet.stream.type == "video":
                    times.append(at)
                else:
                    self.sound.append((at, hashlib.sha256(bytes(packet)).digest()))
        self.frame_times = sorted(times)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
