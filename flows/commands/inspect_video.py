"""`restore-archive inspect`: one video classified in this process: a table of its stretches, a timeline, a manifest."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deblur_core.errors import UsageError
from deblur_core.manifests.frames import SegmentLabels, VideoFrames, frame_manifest, to_bytes
from deblur_core.output_place import check_folder_place, writing_explained
from deblur_core.storage.keys import printable
from flows.settings import resolve_settings


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames with one label; start and stop are frame numbers."""

    start: int
    stop: int
    blurred: bool
    mean_probability: float


def inspect_video(video: Path, out: Path | None, selector: str | None, threshold: float | None) -> int:
    """Writes `timeline.png` and `frames.parquet` beside each other and prints the stretches. Returns the exit code."""
    settings = resolve_settings(selector=selector, threshold=threshold)
    if not video.is_file():
        raise UsageError(f"{video} is no file: name one video")
    folder = out or Path(f"{video.name}.inspection")
    check_folder_place(folder)
    from deblur_core.models.registry import load_selector
    from deblur_core.restoration import full_scale_luma
    from deblur_core.video.decode import decode_frames
    from deblur_core.video.index import index_video, plan_segments
    from deblur_core.video.probe import probe
    from flows.commands.timeline import draw_timeline

    chosen = load_selector(settings.selector, settings.device)
    info = probe(video, video.name)
    index = index_video(video, video.name, info)
    probability = np.zeros(index.frame_count, np.float32)
    segments = plan_segments(index, settings.segment_frames)
    for segment in segments:
        frames = decode_frames(video, index, segment.first_frame, segment.stop_frame, video.name, threads=2)
        features = [chosen.frame_features(full_scale_luma(frame)) for _, frame in frames]
        probability[segment.first_frame : segment.stop_frame] = chosen.probabilities(features)
    blurred = probability >= np.float32(settings.threshold)
    seconds = index.pts.astype(np.float64) * float(index.time_base)
    numbers = np.repeat([s.number for s in segments], [s.frame_count for s in segments])
    facts = VideoFrames(video.name, "", index.pts, seconds, index.is_keyframe, numbers)
    labels = SegmentLabels(0, probability, np.ones(index.frame_count, bool))
    table = frame_manifest(facts, labels, settings.threshold, [], "")
    with writing_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "frames.parquet").write_bytes(to_bytes(table, {"video": video.name}))
        draw_timeline(folder / "timeline.png", probability, seconds, settings.threshold, video.name)
    _print(video.name, info, stretches(blurred, probability), seconds, folder)
    return 0


def stretches(blurred: np.ndarray, probability: np.ndarray) -> list[Stretch]:
    """Runs of equal labels; blurred: bool [N], probability: float [N]."""
    edges = [0, *(np.flatnonzero(np.diff(blurred)) + 1).tolist(), len(blurred)]
    return [
        Stretch(start, stop, bool(blurred[start]), float(probability[start:stop].mean()))
        for start, stop in pairwise(edges)
    ]


def _print(name: str, info: object, found: list[Stretch], seconds: np.ndarray, folder: Path) -> None:
    console = Console()
    table = Table("frames", "from", "to", "label", "mean probability", title=Text(printable(name)))
    for stretch in found[:60]:
        table.add_row(
            f"{stretch.start}–{stretch.stop - 1}",
            f"{seconds[stretch.start]:.3f} s",
            f"{seconds[stretch.stop - 1]:.3f} s",
            "[red]blurred[/red]" if stretch.blurred else "sharp",
            f"{stretch.mean_probability:.3f}",
        )
    console.print(table)
    if len(found) > 60:
        console.print(f"… and {len(found) - 60} stretches more, in the manifest")
    count = sum(stretch.stop - stretch.start for stretch in found if stretch.blurred)
    console.print(f"{count} of {len(seconds)} frames are blurred ({100 * count / len(seconds):.1f} %).")
    console.print(f"timeline {folder / 'timeline.png'}   manifest {folder / 'frames.parquet'}", markup=False)
