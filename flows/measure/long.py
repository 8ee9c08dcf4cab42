"""What a very long video costs: the memory of every process and the temporary data, while the command line restores it.

Two films of the same length: one in 1080p of which all GOPs but a few stay as they are, and a small one that is encoded
whole, so that thousands of parts are joined.
"""

import json
import shutil
from collections import defaultdict
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from av.packet import Packet
from av.video.frame import VideoFrame
from rich.console import Console
from rich.table import Table

from deblur_core.errors import RestoreArchiveError
from deblur_core.video.source import open_input
from flows.measure.long_source import LOOP_SECONDS, LongVideo, Picture, make_long_video
from flows.measure.watched_run import TemporaryBytes, Watched, watched_run

_MIB = 1 << 20
_SHAKEN_EVERY = 24
"""loops from one shaken one to the next"""


@dataclass(frozen=True)
class Film:
    """A video to be restored, and how. segment_frames: the most that a segment has; parts: whether each becomes one."""

    name: str
    picture: Picture
    segment_frames: int
    options: tuple[str, ...]
    parts: bool


def films(rate: Fraction) -> tuple[Film, ...]:
    """It is not speed or labels that are judged here: the quick restorer will do, a stride in the large film, and a
    threshold that only what is shaken passes."""
    large = Picture(1920, 1080, rate, int(400_000 * rate))
    small = Picture(256, 144, rate, int(10_000 * rate))
    options = ("--restorer", "default-fast", "--threshold", "0.9")
    return (
        Film("1080p", large, 300, (*options, "--stride", str(large.gop // 2)), parts=False),
        Film("144p, all encoded", small, small.gop, (*options, "--reencode"), parts=True),
    )


def measure_long(work: Path, minutes: float, rate: Fraction, only: str | None) -> int:
    """Prints what was seen of each film and writes `long.json` into `work`. Returns 0."""
    loops = max(round(minutes * 60 / LOOP_SECONDS), 1)
    reports = []
    work.mkdir(parents=True, exist_ok=True)
    for film in films(rate):
        if only is not None and not film.name.startswith(only):
            continue
        folder = work / f"{film.name.split(',')[0]} {loops} loops at {float(rate):g}"
        shutil.rmtree(folder / "restored", ignore_errors=True)
        (folder / "archive").mkdir(parents=True, exist_ok=True)
        shaken = range(min(1, loops - 1), loops, _SHAKEN_EVERY)
        made = make_long_video(folder / "archive" / "film.mp4", film.picture, loops, shaken)
        settings = {"RESTORE_SEGMENT_FRAMES": str(film.segment_frames)}
        seen = watched_run(folder / "archive", folder / "restored", settings, *film.options)
        reports.append(_judged(film, made, folder / "restored", *seen))
        (work / "long.json").write_text(json.dumps(reports, indent=1))
        _print(reports[-1])
    return 0


def _judged(
    film: Film,
    made: LongVideo,
    restored: Path,
    report: dict[str, Any],
    processes: dict[int, Watched],
    temporary: TemporaryBytes,
) -> dict[str, Any]:
    """Raises RestoreArchiveError where the film did not come out as one with restored frames."""
    if report["videos"]["restored"] != 1:
        raise RestoreArchiveError(f"{film.name}: was not restored: {report['videos']}, {report['failures']}")
    result = restored / made.path.name
    manifest = pq.read_table(restored / "_restore" / "manifests" / made.path.name / "frames.parquet")
    actions = manifest["action"].to_pylist()
    peaks: dict[str, list[Watched]] = defaultdict(list)
    for watched in processes.values():
        peaks[watched.title].append(watched)
    facts = asdict(temporary)
    return {
        "film": film.name,
        "seconds_of_film": float(made.frames / film.picture.rate),
        "frames": made.frames,
        "parts_joined": made.frames // made.gop if film.parts else None,
        "source_bytes": made.size_bytes,
        "result_bytes": result.stat().st_size,
        "shaken": len(made.shaken),
        "restored": actions.count("restored"),
        "rejected": actions.count("rejected"),
        "shaken_and_restored": sum(actions[frame] == "restored" for frame in made.shaken),
        "run_seconds": report["seconds"],
        "sound_moved_seconds": _sound_moved(made.path, result),
        "processes": {
            title: {
                "number": len(found),
                "peak_rss": max(each.peak_rss for each in found),
                "peak_pss": max(each.peak_pss for each in found),
            }
            for title, found in sorted(peaks.items())
        },
        "temporary_bytes": {name: value for name, value in facts.items() if name != "timeline"},
        "temporary_times_source": temporary.together / made.size_bytes,
        "timeline": facts["timeline"],
    }


def _sound_moved(source: Path, result: Path) -> float:
    """The largest change of any sound packet's time against the first picture, in seconds."""
    times = []
    for path in (source, result):
        with open_input(path, path.name) as container:
            first = _time(next(container.decode(video=0)))
        with open_input(path, path.name) as container:
            times.append([_time(packet) - first for packet in container.demux(audio=0) if packet.size])
    if len(times[0]) != len(times[1]):
        raise RestoreArchiveError(f"{result.name}: {len(times[0])} sound packets became {len(times[1])}")
    return float(max(abs(before - after) for before, after in zip(*times, strict=True)))


def _time(shown: Packet | VideoFrame) -> Fraction:
    return Fraction(shown.pts or 0) * (shown.time_base or 0)


def _print(report: dict[str, Any]) -> None:
    console = Console(width=120)
    console.print(
        f"[bold]{report['film']}[/bold]: {report['seconds_of_film'] / 60:.1f} min, {report['frames']} frames, "
        f"{report['parts_joined'] or 'few'} parts joined, {report['restored']} restored "
        f"({report['shaken_and_restored']} of {report['shaken']} shaken); "
        f"{report['source_bytes'] / _MIB:.0f} MiB became {report['result_bytes'] / _MIB:.0f} MiB in "
        f"{report['run_seconds']:.0f} s; sound moved by {report['sound_moved_seconds']:.6f} s"
    )
    table = Table("process", "number", "most RSS, MiB", "most PSS, MiB")
    for title, found in report["processes"].items():
        table.add_row(title, str(found["number"]), f"{found['peak_rss'] / _MIB:.0f}", f"{found['peak_pss'] / _MIB:.0f}")
    console.print(table)
    table = Table("temporary data", "most at once, MiB", "times the source")
    for name, size in report["temporary_bytes"].items():
        table.add_row(name, f"{size / _MIB:.1f}", f"{size / report['source_bytes']:.2f}")
    console.print(table)
