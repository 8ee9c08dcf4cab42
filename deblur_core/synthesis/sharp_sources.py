"""The sharp material of a folder: videos, folders of numbered pictures that are clips, and single photographs.

Finds them, names them, and reads their frames one by one. Knows nothing about blur.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from deblur_core.errors import DamagedVideoError, DeclinedVideoError, UsageError
from deblur_core.video.colour import to_rgb
from deblur_core.video.decode import decode_frames
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PHOTOGRAPH_FRAMES, PHOTOGRAPH_RATE = 24, Fraction(25)

_LEAST_SIDE = 32
_SEEN_OF_PHOTOGRAPH = 0.75
_HDR_CURVES = (16, 18)  # AVCOL_TRC_SMPTE2084 (PQ) and AVCOL_TRC_ARIB_STD_B67 (HLG)


@dataclass(frozen=True)
class SharpSource:
    """name: of its clip, fit for a folder; place: path below the source folder; files: one, or the pictures of a clip
    in order; rate: frames a second of pictures, None where the file itself says."""

    name: str
    place: str
    kind: Literal["video", "pictures", "photograph"]
    files: tuple[Path, ...]
    rate: Fraction | None = None

    def sha256(self) -> str:
        """Hash of the file, or of the hashes of its pictures."""
        digests = []
        for file in self.files:
            with file.open("rb") as opened:
                digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
        return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class SharpClip:
    """frames: opens the clip and gives its `count` frames, uint8 RGB [H, W, 3], upright, of one size."""

    count: int
    rate: Fraction
    frames: Callable[[], Iterator[np.ndarray]]


def find_sources(folder: Path, video_suffixes: Sequence[str], picture_rate: Fraction | None) -> list[SharpSource]:
    """What is below `folder`, sorted by path, hidden files left out.

    Pictures are photographs; with `picture_rate` (frames a second) those of one folder are the frames of a clip, sorted
    by name. Names are paths without suffix, folders joined by `__`; where two would be equal, the suffix stays.
    Raises UsageError when there is no such folder or nothing in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one with sharp videos or photographs")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]
    found: list[tuple[str, Literal["video", "pictures", "photograph"], tuple[Path, ...], Fraction | None]] = []
    sequences: dict[Path, list[Path]] = {}
    for path in files:
        place = path.relative_to(folder).as_posix()
        if path.suffix.lower() in video_suffixes:
            found.append((place, "video", (path,), None))
        elif path.suffix.lower() in PICTURE_SUFFIXES and picture_rate is None:
            found.append((place, "photograph", (path,), None))
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            sequences.setdefault(path.parent, []).append(path)
    for parent, pictures in sequences.items():
        place = parent.relative_to(folder).as_posix() if parent != folder else folder.resolve().name
        found.append((place, "pictures", tuple(pictures), picture_rate))
    if not found:
        raise UsageError(f"{folder} holds {len(files)} files but no video and no picture: nothing to synthesize from")
    plain = Counter(_clip_name(place, kind) for place, kind, _, _ in found)
    sources: dict[str, SharpSource] = {}
    for each in sorted(found):
        name = _clip_name(each[0], each[1])
        if plain[name] > 1:
            name = each[0].replace("/", "__")
        while name in sources:
            name += "_"
        sources[name] = SharpSource(name, *each)
    return list(sources.values())


def _clip_name(place: str, kind: str) -> str:
    path = Path(place)
    return "__".join(path.parts if kind == "pictures" else (*path.parts[:-1], path.stem))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def open_clip(
    source: SharpSource, rng: np.random.Generator, most_frames: int | None = None, shorter_side: int | None = None
) -> SharpClip:
    """What a source shows: all its frames or the first `most_frames`, made smaller to `shorter_side` pixels at most.

    A photograph is seen by a camera that drifts over it, as `rng` will have it. Raises NotAVideoError,
    DamagedVideoError, or DeclinedVideoError for what cannot be a truth (interlaced, HDR) or is too small.
    """
    opened = {"video": _video, "pictures": _pictures, "photograph": _photograph}[source.kind](source, rng)
    count = opened.count if most_frames is None else min(opened.count, most_frames)

    def frames() -> Iterator[np.ndarray]:
        size: tuple[int, ...] | None = None
        for number, frame in enumerate(islice(opened.frames(), count)):
            if size is None and min(frame.shape[:2]) < _LEAST_SIDE:
                raise DeclinedVideoError(f"{source.place}: its frames are smaller than {_LEAST_SIDE} pixels")
            if frame.shape != (size or frame.shape):
                raise DeclinedVideoError(f"{source.place}: frame {number} has another size than those before it")
            size = frame.shape
            yield _shrunk(frame, shorter_side)

    return SharpClip(count, opened.rate, frames)


def _video(source: SharpSource, rng: np.random.Generator) -> SharpClip:
    path = source.files[0]
    info = probe(path, source.place)
    if info.interlaced:
        raise DeclinedVideoError(f"{source.place}: is interlaced; deinterlace it first")
    if info.color_trc in _HDR_CURVES:
        raise DeclinedVideoError(f"{source.place}: is HDR, whose light is not that of SDR video; convert it first")
    index = index_video(path, source.place, info)

    def frames() -> Iterator[np.ndarray]:
        for _, frame in decode_frames(path, index, 0, index.frame_count, source.place, threads=2):
            rgb = to_rgb(frame)
            eight = rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)
            yield np.ascontiguousarray(np.rot90(eight, round(info.rotation_degrees / 90)))

    return SharpClip(index.frame_count, info.average_rate or PHOTOGRAPH_RATE, frames)


def _pictures(source: SharpSource, rng: np.random.Generator) -> SharpClip:
    def frames() -> Iterator[np.ndarray]:
        for file in source.files:
            yield _picture(file, f"{source.place}/{file.name}")

    return SharpClip(len(source.files), source.rate or PHOTOGRAPH_RATE, frames)


def _photograph(source: SharpSource, rng: np.random.Generator) -> SharpClip:
    """A camera that drifts over it in whole pixels: every frame is as sharp as the photograph."""
    whole = _picture(source.files[0], source.place)
    seen = [max(int(side * _SEEN_OF_PHOTOGRAPH), 1) for side in whole.shape[:2]]
    room = np.array(whole.shape[:2]) - seen
    place, step = rng.uniform(0.0, 1.0, 2) * room, rng.normal(0.0, 0.004, 2) * min(seen)
    places = []
    for _ in range(PHOTOGRAPH_FRAMES):
        step = np.where((place + step < 0) | (place + step > room), -step, step)
        place = np.clip(place + step, 0, room)
        places.append(place.astype(int))

    def frames() -> Iterator[np.ndarray]:
        for y, x in places:
            yield np.ascontiguousarray(whole[y : y + seen[0], x : x + seen[1]])

    return SharpClip(PHOTOGRAPH_FRAMES, PHOTOGRAPH_RATE, frames)


def _picture(file: Path, place: str) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR) if file.stat().st_size else None
    if picture is None:
        raise DamagedVideoError(f"{place}: is not a readable picture; repair or remove it")
    return np.ascontiguousarray(picture[..., ::-1])


def _shrunk(frame: np.ndarray, shorter_side: int | None) -> np.ndarray:
    side = min(frame.shape[:2])
    if shorter_side is None or side <= shorter_side:
        return frame
    height, width = (max(round(length * shorter_side / side / 2) * 2, 2) for length in frame.shape[:2])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
