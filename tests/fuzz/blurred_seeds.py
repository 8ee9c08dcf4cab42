"""Sound files with shaken frames, which the program does restore: so what is damaged in them meets every stage."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from deblur_core.video.scheduling import usual_scheduling
from tests.fuzz.seeds import Seed
from tests.workers.shaken_clip import shaken_clip

_FRAMES = 24
_SHAKEN = ((5, 9), (15, 18))
_SIZE = (96, 64)
_KINDS = {
    "shaken-h264.mp4": "libx264",
    "shaken-h264.mkv": "libx264",
    "shaken-h264.mov": "libx264",
    "shaken-h264.ts": "libx264",
    "shaken-hevc.mp4": "libx265",
    "shaken-hevc.mkv": "libx265",
    "shaken-mpeg4.avi": "mpeg4",
    "shaken-vp9.webm": "libvpx-vp9",
    "shaken-av1.mkv": "libsvtav1",
    "shaken-ffv1.mkv": "ffv1",
}
_QUICK = ("shaken-h264.mp4", "shaken-h264.mkv")


@usual_scheduling()
def blurred_seeds(quick: bool) -> list[Seed]:
    """quick: two kinds, for a run of seconds."""
    with TemporaryDirectory(prefix="fuzz-") as folder:
        paths = [
            shaken_clip(Path(folder) / name, frames=_FRAMES, shaken=_SHAKEN, size=_SIZE, gop=6, codec=codec, seed=seed)
            for seed, (name, codec) in enumerate(_KINDS.items())
            if not quick or name in _QUICK
        ]
        return [Seed(path.name, "media", path.read_bytes()) for path in paths]
