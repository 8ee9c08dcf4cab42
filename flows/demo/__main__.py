"""`python -m flows.demo`: renders the archive, restores it with the real command, judges it, says where to look.

Everything lies under one folder (`demo`), which each run empties first, so that what is seen is what was just done.
Exit codes: 0 all promises kept; 1 something was not, said in a line; 2 wrong usage; 130 interrupted.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from deblur_core.errors import UsageError
from flows.demo.archive import CLIPS, Clip, Rendered, read_labels, render, write_labels
from flows.demo.gallery import hang
from flows.demo.judge import Judgement, judge, manifest_path
from flows.demo.photographs import PHOTOGRAPHS, credits_line, load_photographs
from flows.demo.picture import draw, write_png

_MARKER, _PICTURE = "about.txt", "comparison.png"
_ABOUT = """Made by `make demo`, which empties this folder first.
archive    three short videos, partly blurred; photographs by {credits}
truth      the same frames without blur, noise and compression, and labels.json: which are blurred
restored   what `restore-archive run` made of the archive, with its manifests in _restore
comparison.png   before, after and truth side by side
"""


def main(
    directory: Annotated[Path, typer.Option(help="where everything is put; emptied first")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="another seed shakes the camera differently", min=0)] = 1,
) -> None:
    """Render a small partly blurred archive with known truth, restore it, and judge the result."""
    try:
        code = demonstrate(directory, seed)
    except UsageError as error:
        sys.stderr.write(f"demo: {error}\n")
        code = 2
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted; the next run starts anew\n")
        code = 130
    raise typer.Exit(code)


def demonstrate(directory: Path, seed: int, clips: Sequence[Clip] = CLIPS) -> int:
    """The whole demonstration; returns the exit code. Raises UsageError before anything is written."""
    started = time.monotonic()
    console = Console(highlight=False)
    photographs = load_photographs()
    start_clean(directory)
    console.print(f"[bold]1. An archive with known truth[/bold]: {len(clips)} videos in {directory / 'archive'}")
    console.print(f"   photographs: {credits_line()}", style="dim", soft_wrap=True)
    render_archive(directory, seed, clips, photographs)
    console.print(f"   rendered in {time.monotonic() - started:.0f} s\n")
    source, destination = directory / "archive", directory / "restored"
    console.print(f"[bold]2. restore-archive run {source} {destination}[/bold]", soft_wrap=True)
    code = restore(source, destination)
    if code:
        console.print(f"\n[red]The command ended with exit code {code}: nothing to judge.[/red]")
        return 1
    console.print("\n[bold]3. Against the truth[/bold]")
    judgements = [judge(directory, video, labels) for video, labels in read_labels(directory).items()]
    write_png(directory / _PICTURE, draw(directory, judgements))
    report(console, directory, judgements, time.monotonic() - started)
    return 1 if any(judgement.broken for judgement in judgements) else 0


def start_clean(directory: Path) -> None:
    """Empties a folder that an earlier demonstration made, or makes it. Raises UsageError for any other folder."""
    marker = directory / _MARKER
    if directory.exists() and not marker.is_file() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} was not made by the demo and will not be emptied: name another --directory")
    for name in ("archive", "truth", "restored"):
        if (directory / name).exists():
            shutil.rmtree(directory / name)
    (directory / _PICTURE).unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    marker.write_text(_ABOUT.format(credits=credits_line()))


def render_archive(
    directory: Path, seed: int, clips: Sequence[Clip], photographs: dict[str, np.ndarray]
) -> list[Rendered]:
    """Renders the clips and their truth, two at a time; each has a generator of its own, so that none needs another."""
    labels = {shown.name: f"{shown.title}\n{shown.author} ({shown.licence})" for shown in PHOTOGRAPHS}
    wall = hang(photographs, labels)
    generators = [np.random.default_rng([seed, number]) for number in range(len(clips))]
    with ThreadPoolExecutor(max_workers=2) as pool:
        work = zip(clips, generators, strict=True)
        rendered = list(pool.map(lambda pair: render(pair[0], wall, photographs, directory, pair[1]), work))
    write_labels(directory, rendered)
    return rendered


def restore(source: Path, destination: Path) -> int:
    """Runs the command line as a user would, its progress on this terminal; returns its exit code."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "flows.command_line", "run", str(source), str(destination)]
    return subprocess.run(command, check=False).returncode


def report(console: Console, directory: Path, judgements: Sequence[Judgement], seconds: float) -> None:
    """The table, what it means, what was not kept, and where to look."""
    console.print(_table(judgements))
    console.print("before, after: mean PSNR of the truly blurred frames against the truth, dB\n", style="dim")
    for judgement in judgements:
        for line in _remarks(judgement):
            console.print(f"{judgement.video}: {line}", soft_wrap=True)
        for line in judgement.broken:
            console.print(f"{judgement.video}: {line}", style="red", soft_wrap=True)
    if not any(judgement.broken for judgement in judgements):
        console.print("Frame counts, frame times and sound packets are the source's in every video.")
    console.print(f"\nLook at   {directory / _PICTURE}   before, after and truth", soft_wrap=True)
    console.print(f"          {directory / 'restored'}   play it beside {directory / 'archive'}", soft_wrap=True)
    console.print(f"          {manifest_path(directory, judgements[0].video)}   a row for each frame", soft_wrap=True)
    console.print(f"{seconds:.0f} s in all")


def _remarks(judgement: Judgement) -> Iterator[str]:
    if judgement.copied and not judgement.labels.any():
        yield "sharp throughout, published as a byte copy of its source"
    if judgement.rejected:
        yield f"{judgement.rejected} restored frames were not better, so the originals were kept"
    if judgement.spoilt:
        yield f"{judgement.spoilt} of {len(judgement.labels)} frames came out worse by more than 0.1 dB"


def _table(judgements: Sequence[Judgement]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("video", no_wrap=True)
    for name in ("blurred", "found", "missed", "false\nalarms", "restored", "before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("gain", justify="right", style="bold", no_wrap=True)
    for judgement in judgements:
        table.add_row(judgement.video, *_cells(judgement))
    return table


def _cells(judgement: Judgement) -> list[str]:
    blurred = f"{judgement.labels.sum()} of {len(judgement.labels)}"
    if not judgement.measured:
        return [blurred, *["–"] * 7]
    counts = [judgement.hits, judgement.missed, judgement.false_alarms, judgement.restored]
    mean = judgement.mean_db
    decibels = [f"{mean[0]:.2f}", f"{mean[1]:.2f}", f"{mean[1] - mean[0]:+.2f}"] if mean else ["–"] * 3
    return [blurred, *map(str, counts), *decibels]


if __name__ == "__main__":
    typer.run(main)
