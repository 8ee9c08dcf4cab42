"""An archive of thousands of tiny videos, some of them damaged; a few distinct clips under many names.

The program works on the largest first. So each copy has a `free` box of random length at its end: it makes the copy a
file of its own, and mixes the clips over the whole night, with no trend in what they cost.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.mutations import mutated
from tests.workers.shaken_clip import shaken_clip

_CODECS = ("libx264", "libx264", "libx265", "mpeg4")
_A_FOLDER = 500


def distinct_clips(number: int) -> list[bytes]:
    """MP4 files of 8 to 24 frames of 96 × 64; in three of four some frames are shaken."""
    clips = []
    rng = random.Random("clips of the night")
    with TemporaryDirectory(prefix="night-") as folder:
        for place in range(number):
            frames = rng.randrange(8, 25)
            first = rng.randrange(1, frames - 5)
            shaken = [(first, first + rng.randrange(2, 5))] if place % 4 else []
            codec = _CODECS[place % len(_CODECS)]
            path = Path(folder) / f"{place}.mp4"
            shaken_clip(path, frames=frames, shaken=shaken, size=(96, 64), gop=8, codec=codec, seed=place)
            clips.append(path.read_bytes())
    return clips


def write_archive(folder: Path, clips: list[bytes], videos: int, poison_every: int) -> set[str]:
    """Writes `videos` files below `folder`. Returns the keys of those that are damaged, one of every `poison_every`."""
    rng = random.Random("archive of the night")
    most = max(map(len, clips))
    poisoned = set()
    for number in range(videos):
        clip = clips[rng.randrange(len(clips))]
        padding = most - len(clip) + rng.randrange(4096)
        key = f"{number // _A_FOLDER:03d}/{number:06d}.mp4"
        if number % poison_every == poison_every - 1:
            poisoned.add(key)
            clip = mutated(clip, clips[0], f"night {number}")
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip + struct.pack(">I4s", padding + 8, b"free") + bytes(padding))
    return poisoned
