"""Takes a clip through the whole path without restoring anything: index, segments, decode, encode, rebuild."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deblur_core.video.containers import output_name
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import EncodeSettings, choose_encoder, encode_segment
from deblur_core.video.index import VideoIndex, index_video, plan_segments
from deblur_core.video.probe import VideoInfo, probe
from deblur_core.video.rebuild import RebuildReport, rebuild


def encode_parts(
    clip: Path, folder: Path, max_frames: int = 12, settings: EncodeSettings | None = None
) -> tuple[VideoInfo, VideoIndex, list[Path]]:
    """Encodes every segment of `clip` unchanged, every third frame as if it had been restored."""
    info, index = probe(clip, clip.name), index_video(clip, clip.name)
    choice = choose_encoder(info, Path(output_name(clip.name)).suffix, settings)
    parts = []
    for segment in plan_segments(index, max_frames):
        frames = (frame for _, frame in decode_frames(clip, index, segment.first_frame, segment.stop_frame, clip.name))
        restored = np.arange(segment.frame_count) % 3 == 1
        parts.append(folder / f"part{segment.number}.mkv")
        encode_segment(frames, restored, info, choice, parts[-1])
    return info, index, parts


def rebuilt(
    clip: Path, folder: Path, max_frames: int = 12, provenance: str = ""
) -> tuple[Path, VideoInfo, VideoIndex, RebuildReport]:
    """The clip taken apart and put together again as `folder`/out-…"""
    info, index, parts = encode_parts(clip, folder, max_frames)
    out = folder / f"out-{output_name(clip.name)}"
    opened = [_opener(part) for part in parts]
    report = rebuild(clip, clip.name, info, index, opened, out, out.name, provenance=provenance)
    return out, info, index, report


def _opener(part: Path) -> Callable[[], BinaryIO]:
    return lambda: part.open("rb")
