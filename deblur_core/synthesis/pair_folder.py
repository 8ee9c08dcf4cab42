"""Where the pairs of a clip lie on disk, and the manifest of many clips.

    CLIP/blurred/000000.png …  CLIP/sharp/000000.png …  CLIP/labels.parquet  CLIP/blurred.mp4 (if asked for)

A clip is made under another name and renamed when it is whole. Knows neither models nor settings.
"""

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deblur_core.errors import DeclinedVideoError
from deblur_core.synthesis.compression import REPEATABLE
from deblur_core.synthesis.pairs import Pair
from deblur_core.video.colour import from_rgb

LABELS, VIDEO = "labels.parquet", "blurred.mp4"
_VIDEO_CRF = 10  # the frames have been through an encoder already: this one is to add nothing that could be seen
_BT709, _LIMITED = 1, 1

LABEL_SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("is_blurred", pa.bool_(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("strength_pixels", pa.float32(), nullable=False),
        pa.field("source_frame", pa.int64(), nullable=False),
    ]
)
"""frame: number of the PNG; kind: sharp, averaged, shake, roll, object or defocus; is_blurred: any but sharp, so a
frame out of focus too; strength_pixels: how far things smear; source_frame: the frame of the source that is the truth.
"""


@dataclass(frozen=True)
class ClipRecord:
    """A row of the manifest. rate: frames a second of the pairs; frames, blurred: how many of them."""

    clip: str
    source: str
    source_sha256: str
    model: str
    rate: float
    width: int = 0
    height: int = 0
    frames: int = 0
    blurred: int = 0


MANIFEST_SCHEMA = pa.schema(
    [
        pa.field(each.name, {str: pa.string(), float: pa.float64(), int: pa.int64()}[each.type], nullable=False)  # type: ignore[index]
        for each in fields(ClipRecord)
    ]
)


def write_clip(pairs: Iterable[Pair], folder: Path, about: ClipRecord, fingerprint: str, video: bool) -> ClipRecord:
    """Writes the pairs as the clip `folder`, in the place of an older one; returns `about` with size and counts.

    fingerprint: of all that decides the pairs, kept with the labels. Raises DeclinedVideoError when there is no pair;
    then, and on any other error, `folder` is as it was.
    """
    making, old = (folder.with_name(f".{folder.name}.{state}") for state in ("unfinished", "replaced"))
    for leftover in (making, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        record = _write(pairs, making, about, fingerprint, video)
        if folder.exists():
            folder.rename(old)
        making.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(making, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return record


def read_record(folder: Path, fingerprint: str) -> ClipRecord | None:
    """The record of a clip that `write_clip` finished with this fingerprint; None when there is none."""
    try:
        metadata = pq.read_schema(folder / LABELS).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    if metadata.get(b"fingerprint") != fingerprint.encode():
        return None
    return ClipRecord(**json.loads(metadata[b"clip"]))


def write_manifest(records: Sequence[ClipRecord], path: Path) -> None:
    """One row a clip, in one step."""
    table = pa.Table.from_pylist([asdict(record) for record in records], schema=MANIFEST_SCHEMA)
    write_whole(path, _parquet(table, {}))


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that appears under its name only when it is complete."""
    making = path.with_name(f".{path.name}.unfinished")
    making.write_bytes(data)
    making.replace(path)


def _write(pairs: Iterable[Pair], folder: Path, about: ClipRecord, fingerprint: str, video: bool) -> ClipRecord:
    for side in ("blurred", "sharp"):
        (folder / side).mkdir(parents=True)
    rows: list[dict[str, object]] = []
    size = (0, 0)
    with ExitStack() as stack:
        recorder: _Video | None = None
        for number, pair in enumerate(pairs):
            for side, frame in (("blurred", pair.blurred), ("sharp", pair.sharp)):
                png = cv2.imencode(".png", frame[..., ::-1])[1]
                (folder / side / f"{number:06d}.png").write_bytes(png.tobytes())
            if video:
                recorder = recorder or stack.enter_context(_Video(folder / VIDEO, pair.blurred, about.rate))
                recorder.add(number, pair.blurred)
            size = (pair.sharp.shape[1], pair.sharp.shape[0])
            rows.append(
                {
                    "frame": number,
                    "is_blurred": pair.is_blurred,
                    "kind": pair.kind,
                    "strength_pixels": pair.strength_pixels,
                    "source_frame": pair.source_frame,
                }
            )
    if not rows:
        raise DeclinedVideoError(f"{about.source}: is too short for a single interval; use another model")
    blurred = sum(bool(row["is_blurred"]) for row in rows)
    record = ClipRecord(
        about.clip, about.source, about.source_sha256, about.model, about.rate, *size, len(rows), blurred
    )
    metadata = {"fingerprint": fingerprint, "clip": json.dumps(asdict(record))}
    table = pa.Table.from_pylist(rows, schema=LABEL_SCHEMA)
    (folder / LABELS).write_bytes(_parquet(table, metadata))
    return record


def _parquet(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(dict(metadata)), buffer, compression="zstd")
    return buffer.getvalue()


class _Video:
    """An MP4 of frames like `first`; odd sides need 4:4:4."""

    def __init__(self, path: Path, first: np.ndarray, rate: float) -> None:
        height, width = first.shape[:2]
        self._tick = 1 / Fraction(rate).limit_denominator(1001)
        self._like = av.VideoFrame(width, height, "yuv444p" if width % 2 or height % 2 else "yuv420p")
        self._like.time_base = self._tick
        self._like.colorspace = self._like.color_primaries = self._like.color_trc = _BT709
        self._like.color_range = _LIMITED
        self._container = av.open(str(path), "w", options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream("libx264", rate=1 / self._tick)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = self._like.format.name
        context = self._stream.codec_context
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._stream.options = {"preset": "veryfast", "crf": str(_VIDEO_CRF), **REPEATABLE}

    def __enter__(self) -> "_Video":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._container:
            if kind is None:
                self._container.mux(self._stream.encode(None))

    def add(self, number: int, frame: np.ndarray) -> None:
        self._like.pts = number
        self._container.mux(self._stream.encode(from_rgb(frame, self._like)))
