"""The readers under test, each given the bytes of one file. A reader returns, or raises one of the program's errors:
anything else is a finding.

What is called is the program as it is; nothing here guards it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from deblur_core.errors import DeclinedVideoError
from deblur_core.manifests import frames, videos
from deblur_core.provenance import sidecar
from deblur_core.restoration import full_scale_luma
from deblur_core.video.colour import to_rgb
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import EncodeSettings, choose_encoder
from deblur_core.video.index import VideoIndex, index_video, plan_segments
from deblur_core.video.probe import probe
from flows.settings import resolve_settings
from tests.fidelity.quick_line import restored
from workers.planned_video import index_from_bytes, index_to_bytes

_MOST_FRAMES = 24
_LARGEST_PICTURE = 1 << 22
"""Of pictures that are turned into RGB here: more only takes longer."""


def media(data: bytes, name: str) -> None:
    """Probe, index, the index as it is kept, segments, and the decoder at the start and in the middle."""
    file = io.BytesIO(data)
    info = probe(file, name)
    index = index_from_bytes(index_to_bytes(index_video(file, name, info)), name)
    segments = plan_segments(index)
    assert segments[0].first_frame == 0 and segments[-1].stop_frame == index.frame_count
    with suppress(DeclinedVideoError):
        choose_encoder(info, Path(name).suffix, EncodeSettings())
    for start in {0, index.frame_count // 2}:
        stop = min(start + _MOST_FRAMES, index.frame_count)
        for _, frame in decode_frames(file, index, start, stop, name):
            if frame.width * frame.height <= _LARGEST_PICTURE:
                full_scale_luma(frame)
                to_rgb(frame)


def program(data: bytes, name: str) -> None:
    """All stages, with models that cost nothing, from a folder to a folder; what fails must have published nothing."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        (Path(folder) / "in").mkdir()
        (Path(folder) / "out").mkdir()
        source = Path(folder) / "in" / f"a{Path(name).suffix}"
        source.write_bytes(data)
        outcome = restored(source, Path(folder) / "out")
        if outcome.error is not None:
            raise outcome.error


def frame_manifest(data: bytes, name: str) -> None:
    frames.from_bytes(data, name)


def labels(data: bytes, name: str) -> None:
    table, _ = frames.from_bytes(data, name)
    frames.labels_from([table], 0, 12)


def outcomes(data: bytes, name: str) -> None:
    frames.outcomes_from(frames.from_bytes(data, name)[0])


def records(data: bytes, name: str) -> None:
    videos.records_from_bytes(data, name)


def index(data: bytes, name: str) -> None:
    found: VideoIndex = index_from_bytes(data, name)
    plan_segments(found)


def record(data: bytes, name: str) -> None:
    sidecar.from_bytes(data, name)


def settings(data: bytes, name: str) -> None:
    with TemporaryDirectory(prefix="fuzz-") as folder:
        before = Path.cwd()
        os.chdir(folder)
        try:
            Path("restore.toml").write_bytes(data)
            resolve_settings()
        finally:
            os.chdir(before)


TARGETS: dict[str, tuple[Callable[[bytes, str], None], ...]] = {
    "media": (media, media, media, program),
    "frames": (frame_manifest,),
    "labels": (labels,),
    "outcomes": (outcomes,),
    "videos": (records,),
    "index": (index,),
    "record": (record,),
    "settings": (settings,),
}
"""For each kind of seed its readers, those oftener that cost less."""
