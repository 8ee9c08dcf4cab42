"""Thousands of parts are joined with no more files open than one part needs."""

import resource
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import choose_encoder, encode_segment
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe
from deblur_core.video.rebuild import rebuild
from tests.deblur_core.video.joined_clip import x264_clip
from tests.media import frame_times

PARTS = 2100
SPARE_FILES = 32


def test_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    clip = x264_clip(tmp_path / "clip.mp4", PARTS, gop=1, size=(32, 32), preset="ultrafast")
    info = probe(clip, clip.name)
    index = index_video(clip, clip.name, info)
    part = tmp_path / "part.mkv"
    frames = (frame for _, frame in decode_frames(clip, index, 0, 1, clip.name))
    encode_segment(frames, np.zeros(1, bool), info, choose_encoder(info, ".mp4"), part)
    opened: list[BinaryIO] = []

    def opener() -> BinaryIO:
        assert all(file.closed for file in opened)
        opened.append(part.open("rb"))
        return opened[-1]

    out = tmp_path / "out.mp4"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + SPARE_FILES, hard))
    try:
        report = rebuild(clip, clip.name, info, index, [opener] * PARTS, out, out.name)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert report.parts == PARTS
    assert len(opened) >= PARTS
    assert frame_times(out) == frame_times(clip)
