"""Compares the pictures of a rebuilt video that were not restored with those of its source, frame by frame.

Both files are decoded in step, one frame of each in memory. It knows nothing of packets, times or tags, and it does not
judge restored frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from deblur_core.errors import VerificationError
from deblur_core.video.decode import decode_frames
from deblur_core.video.index import VideoIndex
from deblur_core.video.pixel_format import samples, to_plain
from deblur_core.video.source import Source

LEAST_UNTOUCHED_DB = 35.0
"""PSNR below which a frame that was encoded again, but not restored, is not the same picture any more. Real ones lie
between 50 and 70 dB (docs/measurements.md); another matrix, range or frame lies between 15 and 30."""


@dataclass(frozen=True)
class PictureFindings:
    """Of the frames that were not restored. identical: equal in every sample; differing: the others, encoded again;
    least_psnr_db (over all planes) and largest_difference (in code values of the video's own bit depth): of those,
    None where there are none."""

    identical: int
    differing: int
    least_psnr_db: float | None
    largest_difference: int | None


@dataclass(frozen=True)
class FrameWatch:
    """Is shown what a check decodes, so that nothing need be decoded twice: every frame of the source, every frame of
    the result, in order of presentation."""

    source: Callable[[VideoFrame], object] | None = None
    result: Callable[[VideoFrame], object] | None = None


class PictureCheck:
    """Sees the frames of the result one after the other, in order of presentation. To be closed: it decodes the source
    in step, and a decoder keeps its threads and its file."""

    def __init__(
        self,
        source: Source,
        index: VideoIndex,
        restored: np.ndarray,
        name: str,
        stay: np.ndarray | None = None,
        source_frame: np.ndarray | None = None,
        watch: FrameWatch | None = None,
    ) -> None:
        """restored, stay: bool [N], the frames of the source that may differ, and those that must not by one sample.

        source_frame: int64 [M], for each frame of the result the number of the source's frame that it shows, where
        slow motion makes that another number. watch: sees all frames, too.
        """
        self._name, self._restored, self._stay, self._source_frame = name, restored, stay, source_frame
        self._watch = watch or FrameWatch()
        self._frames = _watched(decode_frames(source, index, 0, index.frame_count, name), self._watch)
        self._identical = self._differing = self._largest = 0
        self._least_db = math.inf
        self.is_lossless = False
        """set where the result's codec loses nothing, so that every frame but the restored must be identical"""

    def see(self, number: int, frame: VideoFrame) -> None:
        """Compares frame `number` of the result. Raises VerificationError if it is not what its source shows."""
        if self._watch.result is not None:
            self._watch.result(frame)
        place = number if self._source_frame is None else int(self._source_frame[number])
        if self._restored[place]:
            return
        original = next(found for at, found in self._frames if at == place)
        largest, mean_square = difference(original, frame, self._name)
        if not largest:
            self._identical += 1
            return
        if self._stay is not None and self._stay[place]:
            raise VerificationError(f"{self._name}: frame {place} was to stay as it was and its picture differs")
        if self.is_lossless:
            raise VerificationError(f"{self._name}: frame {place} differs, although its codec loses nothing")
        decibels = 10 * math.log10(((1 << frame.format.components[0].bits) - 1) ** 2 / mean_square)
        if decibels < LEAST_UNTOUCHED_DB:
            raise VerificationError(
                f"{self._name}: frame {place} was not restored, yet it would be {decibels:.1f} dB from its source"
            )
        self._differing += 1
        self._largest, self._least_db = max(self._largest, largest), min(self._least_db, decibels)

    def finish(self) -> None:
        """After the last frame: lets those who watch see what the comparison had no need of."""
        if self._watch.source is not None:
            for _ in self._frames:
                pass

    def close(self) -> None:
        self._frames.close()

    @property
    def findings(self) -> PictureFindings:
        if not self._differing:
            return PictureFindings(self._identical, 0, None, None)
        return PictureFindings(self._identical, self._differing, round(self._least_db, 2), self._largest)


def _watched(
    frames: Iterator[tuple[int, VideoFrame]], watch: FrameWatch
) -> Generator[tuple[int, VideoFrame], None, None]:
    for number, frame in frames:
        if watch.source is not None:
            watch.source(frame)
        yield number, frame


def difference(one: VideoFrame, other: VideoFrame, name: str) -> tuple[int, float]:
    """The largest difference of two samples, in code values, and the mean square over all samples of all planes.

    Raises VerificationError if the frames are not of one size and format.
    """
    one, other = to_plain(one), to_plain(other)
    if (one.width, one.height, one.format.name) != (other.width, other.height, other.format.name):
        raise VerificationError(
            f"{name}: a frame was {one.width}x{one.height} {one.format.name} and would be "
            f"{other.width}x{other.height} {other.format.name}"
        )
    pairs = [(samples(one, plane), samples(other, plane)) for plane in range(len(one.planes))]
    if all(np.array_equal(a, b) for a, b in pairs):
        return 0, 0.0
    largest, total, count = 0, 0.0, 0
    for a, b in pairs:
        apart = np.abs(np.subtract(a, b, dtype=np.int32)).ravel()
        largest = max(largest, int(apart.max()))
        total += float(np.dot(apart.astype(np.float64), apart))
        count += apart.size
    return largest, total / count
