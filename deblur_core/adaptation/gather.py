"""Gathers footage to adapt to out of whole videos: a few short stretches, with blurred and sharp frames if they can be.

Memory does not grow with the archive: only so many stretches are kept, and of large frames only a part. Knows stores
and decoders, no network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from deblur_core.adaptation.footage import Footage
from deblur_core.errors import VideoError
from deblur_core.models.selector import Selector
from deblur_core.restoration import full_scale_luma
from deblur_core.shots import is_cut, thumbnail
from deblur_core.storage import ObjectStore
from deblur_core.video.colour import to_rgb
from deblur_core.video.decode import decode_frames
from deblur_core.video.index import Segment, VideoIndex, index_video, plan_segments
from deblur_core.video.source import Source

SEGMENT_FRAMES = 96
STRETCH_FRAMES = 48
MOST_STRETCHES = 12
MOST_SIDE = 512
_LEAST_FRAMES = 6
_LOOKS = 3  # times as many stretches are looked at before some without both kinds of frames must do


@dataclass(frozen=True)
class Gathered:
    """footage: at most `MOST_STRETCHES`, each of at most `STRETCH_FRAMES` frames of `MOST_SIDE` pixels a side.

    videos: those that it is from; skipped: videos that could not be read, each with the reason.
    """

    footage: tuple[Footage, ...]
    videos: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def gather(
    store: ObjectStore, keys: Sequence[str], selector: Selector, threshold: float, rng: np.random.Generator
) -> Gathered:
    """Looks at random places of random videos until enough stretches with blurred and sharp frames are found.

    Videos that cannot be read are left out and named. Raises StorageError where the store fails.
    """
    mixed: list[Footage] = []
    others: list[Footage] = []
    skipped: list[tuple[str, str]] = []
    share = -(-MOST_STRETCHES // max(len(keys), 1))
    looks = 0
    for number in rng.permutation(len(keys)):
        if len(mixed) >= MOST_STRETCHES or looks >= _LOOKS * MOST_STRETCHES:
            break
        try:
            with store.open(keys[number]) as file:
                for each in _stretches(file, keys[number], selector, threshold, share, rng):
                    looks += 1
                    (mixed if each.blurred.any() and not each.blurred.all() else others).append(each)
                    del others[MOST_STRETCHES:]
        except VideoError as error:
            skipped.append((keys[number], str(error)))
    footage = tuple((mixed + others)[:MOST_STRETCHES])
    return Gathered(footage, tuple(dict.fromkeys(each.name for each in footage)), tuple(skipped))


def _stretches(
    file: Source, name: str, selector: Selector, threshold: float, most: int, rng: np.random.Generator
) -> Iterator[Footage]:
    """At most about `most` stretches of one video, of random segments of it."""
    index = index_video(file, name)
    segments = plan_segments(index, SEGMENT_FRAMES)
    for number in rng.permutation(len(segments))[:most]:
        yield from _of_segment(file, name, index, segments[number], selector, threshold, rng)


def _of_segment(
    file: Source,
    name: str,
    index: VideoIndex,
    segment: Segment,
    selector: Selector,
    threshold: float,
    rng: np.random.Generator,
) -> Iterator[Footage]:
    """The shots of the stretch of a segment that has the best of both kinds of frames."""
    features, starts, last = [], [segment.first_frame], None
    for number, frame in decode_frames(file, index, segment.first_frame, segment.stop_frame, name):
        luma = full_scale_luma(frame)
        features.append(selector.frame_features(luma))
        small = thumbnail(luma)
        if last is not None and is_cut(last, small):
            starts.append(number)
        last = small
    blurred = selector.probabilities(features) >= np.float32(threshold)
    first = segment.first_frame + best_stretch(blurred, STRETCH_FRAMES)
    stop = min(first + STRETCH_FRAMES, segment.stop_frame)
    cut: list[np.ndarray] = []
    place: tuple[slice, slice] | None = None
    side = 0
    for _, frame in decode_frames(file, index, first, stop, name):
        rgb = to_rgb(frame)
        place = place or _place(rgb.shape[0], rgb.shape[1], rng)
        side = min(rgb.shape[:2])
        part = rgb[place]
        cut.append(np.ascontiguousarray(part if part.dtype == np.uint8 else (part >> 8).astype(np.uint8)))
    bounds = sorted({first, stop, *(start for start in starts if first < start < stop)})
    for begin, end in pairwise(bounds):
        if end - begin >= _LEAST_FRAMES:
            labels = blurred[begin - segment.first_frame : end - segment.first_frame]
            yield Footage(name, cut[begin - first : end - first], labels, side)


def best_stretch(blurred: np.ndarray, length: int) -> int:
    """Where the stretch of `length` frames begins that has most of its rarer kind; bool [N] → 0 to N - 1."""
    if len(blurred) <= length:
        return 0
    sums = np.concatenate([[0], np.cumsum(blurred)])
    count = sums[length:] - sums[:-length]
    return int(np.argmax(np.minimum(count, length - count)))


def _place(height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A random part of at most `MOST_SIDE` on each side."""
    y = int(rng.integers(0, max(height - MOST_SIDE, 0) + 1))
    x = int(rng.integers(0, max(width - MOST_SIDE, 0) + 1))
    return slice(y, y + MOST_SIDE), slice(x, x + MOST_SIDE)
