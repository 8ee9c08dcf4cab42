"""The sharp clips and photographs of a training run, decoded once onto disk and mapped into memory by whoever draws.

Several processes draw samples from the same gigabytes; mapped files are shared among them and survive a restart.
Knows nothing about blur.
"""

import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from deblur_core.errors import UsageError, VideoError
from deblur_core.output_place import missing_folders, remove_empty
from deblur_core.training.clips import HELD_OUT, PHOTO_SUFFIXES, TOO_SOFT, VIDEO_SUFFIXES, Clip, load_video, shrink

LEAST_FRAMES = 12
LEAST_SIDE = 224
_PHOTO_SIDE = 900
_INDEX = "index.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LibrarySettings:
    """most_frames: taken of each clip; shorter_side: larger ones are made smaller, pixels."""

    most_frames: int = 90
    shorter_side: int = 560


def build_library(data: Sequence[Path], folder: Path, settings: LibrarySettings | None = None) -> None:
    """Decodes what is under the folders `data` into `folder`: an array a clip, an index that says which are held out.

    Done once: an index that is there is kept. Videos under 12 frames or 224 pixels are left out; so is what cannot be
    read, named in a warning. Raises UsageError when nothing is left to learn from, or nothing to judge on; `folder` is
    gone then, and so are the folders around it that were made for it.
    """
    settings = settings or LibrarySettings()
    if (folder / _INDEX).exists():
        return
    for place in data:
        if not place.is_dir():
            raise UsageError(f"the training data {place} is no folder: give one with sharp videos or photographs in it")
    shutil.rmtree(folder, ignore_errors=True)
    missing = missing_folders(folder)
    folder.mkdir(parents=True)
    entries: list[dict[str, object]] = []
    unreadable: list[str] = []
    for clip in itertools.chain.from_iterable(_clips(place, settings, unreadable) for place in data):
        file = f"{len(entries):05d}.npy"
        np.save(folder / file, np.stack(clip.frames))
        entries.append({"name": clip.name, "file": file, "frames": len(clip.frames)})
    _hold_out(entries)
    try:
        _require_both(entries, data, unreadable)
    except UsageError:
        shutil.rmtree(folder)
        remove_empty(missing)
        raise
    draft = folder / (_INDEX + ".part")
    draft.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    draft.replace(folder / _INDEX)


def open_library(folder: Path, held_out: bool) -> list[Clip]:
    """The clips to learn from, or those to judge on, as read-only frames uint8 RGB [H, W, 3] mapped from disk."""
    entries = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    return [
        Clip(entry["name"], list(np.load(folder / entry["file"], mmap_mode="r")))
        for entry in entries
        if entry["held_out"] == held_out
    ]


def _hold_out(entries: list[dict[str, object]]) -> None:
    """Marks what is for judging alone: the clips named in HELD_OUT; where there is none, a tenth, by hash of name."""
    for entry in entries:
        entry["held_out"] = any(name in str(entry["name"]) for name in HELD_OUT)
    if not any(entry["held_out"] for entry in entries) and len(entries) > 1:
        by_hash = sorted(entries, key=lambda entry: hashlib.sha256(str(entry["name"]).encode()).digest())
        for entry in by_hash[: -(-len(entries) // 10)]:
            entry["held_out"] = True


def _clips(data: Path, settings: LibrarySettings, unreadable: list[str]) -> Iterator[Clip]:
    """What is usable under a folder. Files that cannot be read are warned of and added to `unreadable`."""

    def pass_over(path: Path, why: str) -> None:
        unreadable.append(str(path))
        _log.warning("left out: %s cannot be read (%s)", path, why)

    def photo(path: Path, shorter_side: int) -> np.ndarray | None:
        read = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if read is None:
            pass_over(path, "no picture")
            return None
        return shrink(np.ascontiguousarray(read[..., ::-1]), shorter_side)

    for folder in sorted({data, *(path for path in data.rglob("*") if path.is_dir())}):
        files = sorted(path for path in folder.iterdir() if path.is_file() and not _left_out(path))
        photos = [path for path in files if path.suffix.lower() in PHOTO_SUFFIXES]
        if len(photos) >= LEAST_FRAMES and all(path.stem.isdigit() for path in photos):
            # A folder of numbered pictures is a clip, as GoPro, REDS and their kin lie.
            yield from _usable(
                folder.name, [photo(path, settings.shorter_side) for path in photos[: settings.most_frames]]
            )
        else:
            for path in photos:
                yield from _usable(path.stem, [photo(path, _PHOTO_SIDE)])
        for path in files:
            if path.suffix.lower() in VIDEO_SUFFIXES:
                try:
                    clip = load_video(path, settings.most_frames, settings.shorter_side)
                except av.FFmpegError as cause:
                    pass_over(path, str(cause.strerror or cause))
                    continue
                except VideoError as cause:
                    pass_over(path, str(cause).removeprefix(f"{path.name}: "))
                    continue
                if len(clip.frames) >= LEAST_FRAMES:
                    yield from _usable(clip.name, clip.frames)


def _left_out(path: Path) -> bool:
    return path.name.startswith(".") or any(soft in path.name for soft in TOO_SOFT)


def _usable(name: str, frames: Sequence[np.ndarray | None]) -> Iterator[Clip]:
    read = [frame for frame in frames if frame is not None]
    if read and min(read[0].shape[:2]) >= LEAST_SIDE and len({frame.shape for frame in read}) == 1:
        yield Clip(name, read)


def _require_both(entries: Sequence[dict[str, object]], data: Sequence[Path], unreadable: Sequence[str]) -> None:
    held = sum(bool(entry["held_out"]) for entry in entries)
    if not 0 < held < len(entries):
        places = ", ".join(map(str, data))
        lost = f" ({len(unreadable)} files could not be read, {unreadable[0]} first)" if unreadable else ""
        raise UsageError(
            f"too little to learn from under {places}: it takes two or more sharp videos of {LEAST_FRAMES} frames or "
            f"more, or photographs, of at least {LEAST_SIDE} pixels: one part to learn from, one to judge on{lost}"
        )
