"""Small archives for whole runs, and what a finished destination holds. Knows the contracts, not the program."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.flows.onlooker import files_below
from tests.media import make_clip, truncate
from tests.workers.shaken_clip import shaken_clip

GOOD = ("films/shaken.mp4", "sharp.mp4")
BAD = ("cut.mp4", "sound.mp4", "text.mp4")


def mixed_archive(folder: Path) -> Path:
    """Two good videos, one of them in a subfolder, three bad ones and a file that is no video."""
    (folder / "films").mkdir(parents=True)
    shaken_clip(folder / "films" / "shaken.mp4")
    make_clip(folder / "sharp.mp4", frames=20, size=(240, 160))
    (folder / "text.mp4").write_text("a text under a video's name\n" * 100)
    whole = make_clip(folder / "whole.mp4", frames=30, size=(160, 120), seed=3)
    truncate(whole, folder / "cut.mp4", 0.6)
    _sound_only(whole, folder / "sound.mp4")
    whole.unlink()
    (folder / "notes.txt").write_text("not part of the archive")
    return folder


def _sound_only(clip: Path, target: Path) -> None:
    import av

    with av.open(str(clip)) as source, av.open(str(target), "w") as sound:
        stream = sound.add_stream_from_template(source.streams.audio[0], opaque=True)
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                sound.mux(packet)


@dataclass(frozen=True)
class Destination:
    """A destination folder after a run."""

    folder: Path

    @property
    def meta(self) -> Path:
        return self.folder / "_restore"

    def files(self) -> list[str]:
        """Names of all files, sorted; a run may be at work meanwhile."""
        return sorted(name for _, name, _ in files_below(self.folder, self.folder))

    def published(self) -> list[str]:
        """Every video under a final name, sorted."""
        return [name for name in self._outside() if not name.endswith(".restoration.json")]

    def sealed(self) -> list[str]:
        """Every video that has a record beside it, sorted."""
        return [
            name.removesuffix(".restoration.json") for name in self._outside() if name.endswith(".restoration.json")
        ]

    def _outside(self) -> list[str]:
        return [name for name in self.files() if not name.startswith("_restore/")]

    def manifest(self, video: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.meta / "manifests" / video / "frames.parquet").to_pylist()
        return rows

    def records(self) -> dict[str, dict[str, Any]]:
        """videos.parquet by video."""
        return {row["video"]: row for row in pq.read_table(self.meta / "videos.parquet").to_pylist()}

    def report(self, run_id: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.meta / "runs" / run_id / "summary.json").read_text())
        return report

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each published file."""
        return {name: hashlib.sha256((self.folder / name).read_bytes()).hexdigest() for name in self.published()}
