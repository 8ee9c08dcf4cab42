"""Sharp clips and photographs in memory, ready to be blurred: what every training run starts from.

Knows nothing about blur. A photograph is a clip of one frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deblur_core.errors import UsageError
from deblur_core.video.source import main_video_stream, open_input

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".mjpeg", ".m4v")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")

HELD_OUT = (
    "test_video",
    "river_overview_long_sweep",
    "tree_snow_01",
    "05_default_juggle",
    "random_dots_movie",
    "sample.video",
)
"""Clips that no training may see: quality is judged on them (docs/measurements.md)."""

TOO_SOFT = (
    "solidWhiteRight", "flower", "bee", "test_stereo", "04_coffee", "trial2_", "aztec", "portrait_4k60",
    "hdr10-video", "trial1_cam01", "trial1_cam02",
)  # fmt: skip
"""Clips whose sharpest frames are not sharp enough to be a truth."""


@dataclass(frozen=True)
class Clip:
    """frames: uint8 RGB [H, W, 3] each, all of one size."""

    name: str
    frames: list[np.ndarray]


def load_video(path: Path, most_frames: int, shorter_side: int, start: int = 0) -> Clip:
    """Decodes up to `most_frames` frames from `start` on, made smaller so that the shorter side fits.

    Raises VideoError for what cannot be opened, av.FFmpegError for what does not decode."""
    frames: list[np.ndarray] = []
    with open_input(path, path.name) as container:
        for number, frame in enumerate(container.decode(main_video_stream(container, path.name))):
            if number < start:
                continue
            frames.append(shrink(frame.to_ndarray(format="rgb24"), shorter_side))
            if len(frames) == most_frames:
                break
    return Clip(path.stem, frames)


def shrink(frame: np.ndarray, shorter_side: int) -> np.ndarray:
    """Area-averages a frame so that its shorter side is at most `shorter_side`; sides come out even."""
    scale = min(1.0, shorter_side / min(frame.shape[:2]))
    height, width = (int(side * scale) // 2 * 2 for side in frame.shape[:2])
    if (height, width) == frame.shape[:2]:
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def load_corpus(
    folder: Path, most_frames: int = 90, shorter_side: int = 560, only: Sequence[str] | None = None
) -> list[Clip]:
    """All sharp training clips and photographs under `folder` (`video/`, `images/`); with `only`, just the named clips.

    Without `only`, held-out and soft clips are left out. Raises UsageError when nothing is left.
    """
    clips = []
    for path in sorted(folder.glob("video/*/*")):
        if path.suffix not in VIDEO_SUFFIXES:
            continue
        excluded = any(name in path.name for name in (*HELD_OUT, *TOO_SOFT))
        if excluded if only is None else not any(name in path.name for name in only):
            continue
        clip = load_video(path, most_frames, shorter_side)
        if len(clip.frames) >= 12 and min(clip.frames[0].shape[:2]) >= 224:
            clips.append(clip)
    if only is None:
        for path in sorted(folder.glob("images/*/*")):
            if path.suffix.lower() in PHOTO_SUFFIXES:
                photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
                clips.append(Clip(path.stem, [shrink(np.ascontiguousarray(photo[..., ::-1]), 900)]))
    if not clips:
        raise UsageError(f"no clip to train with under {folder}: expected video/*/* and images/*/* there")
    return clips
