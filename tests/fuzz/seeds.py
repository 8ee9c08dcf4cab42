"""What mutation starts from: sound files of every kind that the program reads, made here, and files of a folder if one
is given. It knows formats, and the program's own writers of its own formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from deblur_core.manifests.frames import (
    FrameOutcome,
    SegmentLabels,
    VideoFrames,
    frame_manifest,
    labels_table,
    outcomes_table,
    to_bytes,
)
from deblur_core.manifests.videos import VideoRecord, records_to_bytes
from deblur_core.provenance import sidecar
from deblur_core.video.index import index_video
from deblur_core.video.scheduling import usual_scheduling
from tests.deblur_core.provenance.test_sidecar import REBUILT
from tests.media import hostile_files, make_clip
from workers.planned_video import index_to_bytes

_SIZE = (64, 48)
_FEW = 12


@dataclass(frozen=True)
class Seed:
    """kind: which readers it is for; `media` for probe, index and decoder."""

    name: str
    kind: str
    data: bytes


@usual_scheduling()
def made_seeds(quick: bool) -> list[Seed]:
    """quick: fewer kinds of media, for a run of seconds."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        return [*_media(Path(folder), quick), *_own_files(Path(folder))]


def seeds_of(folder: Path, largest_bytes: int = 4 << 20) -> list[Seed]:
    """Every file below `folder` that is not larger."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size <= largest_bytes)
    return [Seed(str(path.relative_to(folder)), "media", path.read_bytes()) for path in found]


def _media(folder: Path, quick: bool) -> list[Seed]:
    common = {"frames": _FEW, "size": _SIZE, "gop": 6}
    made = [
        make_clip(folder / "h264.mp4", chapters=True, subtitles=True, cover=True, **common),
        make_clip(folder / "h264.mkv", subtitles=True, chapters=True, attachment=b"font" * 9, **common),
        make_clip(folder / "h264.ts", **common),
        make_clip(folder / "mpeg4.avi", codec="mpeg4", **common),
        _fragmented(make_clip(folder / "plain.mp4", **common), folder / "fragments.mp4"),
    ]
    if not quick:
        made += [
            make_clip(folder / "hevc.mp4", codec="libx265", **common),
            make_clip(folder / "hevc.mkv", codec="libx265", pixel_format="yuv420p10le", **common),
            make_clip(folder / "open_gop.mov", open_gop=True, rotation=90, start_seconds=Fraction(-1, 4), **common),
            make_clip(folder / "variable.mp4", variable_rate=True, audio=2, **common),
            make_clip(folder / "interlaced.mp4", interlaced=True, **common),
            make_clip(folder / "mpeg2.mpg", codec="mpeg2video", **common),
            make_clip(folder / "mpeg2.ts", codec="mpeg2video", **common),
            make_clip(folder / "vp8.webm", codec="libvpx", **common),
            make_clip(folder / "vp9.webm", codec="libvpx-vp9", **common),
            make_clip(folder / "av1.mp4", codec="libsvtav1", **common),
            make_clip(folder / "ffv1.mkv", codec="ffv1", audio=False, **common),
            make_clip(folder / "mjpeg.avi", codec="mjpeg", pixel_format="yuvj420p", **common),
            make_clip(folder / "prores.mov", codec="prores_ks", pixel_format="yuv422p10le", **common),
            make_clip(folder / "h264.flv", **common),
            make_clip(folder / "mpeg2.mxf", codec="mpeg2video", audio=False, **{**common, "size": (160, 128)}),
            make_clip(folder / "wmv2.wmv", codec="wmv2", audio=False, **common),
            make_clip(folder / "raw.avi", codec="rawvideo", audio=False, **common),
            make_clip(folder / "png.mov", codec="png", pixel_format="rgb24", audio=False, **common),
        ]
    seeds = [Seed(path.name, "media", path.read_bytes()) for path in made]
    for name, data in {
        "samples.mp4": hostile_files.made_of_samples(20),
        "run.mp4": hostile_files.made_of_fragments(20),
        "packed.mov": hostile_files.packed_header(1 << 20),
    }.items():
        seeds.append(Seed(name, "media", data))
    return seeds


def _fragmented(clip: Path, target: Path) -> Path:
    with (
        av.open(str(clip)) as source,
        av.open(str(target), "w", options={"movflags": "frag_keyframe+empty_moov"}) as made,
    ):
        streams = {each.index: made.add_stream_from_template(each) for each in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                made.mux(packet)
    return target


def _own_files(folder: Path) -> list[Seed]:
    """Those which the program reads back: from a destination or a work store that others may write to."""
    numbers = np.arange(_FEW)
    labels = SegmentLabels(0, np.linspace(0, 1, _FEW, dtype=np.float32), numbers % 2 == 0)
    outcomes = [FrameOutcome(frame=7, action="restored", sharpness_before=1.0, sharpness_after=2.0)]
    video = VideoFrames("a.mp4", "etag", numbers * 512, numbers / 24, numbers % 6 == 0, numbers // 6)
    record = VideoRecord(
        "a.mp4", "etag", 1000, "print", "restored", None, None, "a.mp4", 900, _FEW, 3, 2, 1, "run", 1_700_000_000_000
    )
    index = index_video(folder / "plain.mp4", "plain.mp4")
    settings = 'source = "in"\ndestination = "out"\nthreshold = 0.6\nstride = 15\nvideo_suffixes = [".mp4", ".mov"]\n'
    return [
        Seed("frames.parquet", "frames", to_bytes(frame_manifest(video, labels, 0.5, outcomes, "default"), {"a": "b"})),
        Seed("labels.parquet", "labels", to_bytes(labels_table(labels), {})),
        Seed("outcomes.parquet", "outcomes", to_bytes(outcomes_table(outcomes), {})),
        Seed("videos.parquet", "videos", records_to_bytes([record])),
        Seed("index.parquet", "index", index_to_bytes(index)),
        Seed("restore.toml", "settings", settings.encode()),
        Seed("record.json", "record", sidecar.to_bytes(REBUILT)),
    ]
