"""`restore-archive adapt`: a restorer fitted to videos of one's own, without any truth but their sharp frames."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.settings import resolve_settings

if TYPE_CHECKING:
    from deblur_core.adaptation.adapt import Watch
    from deblur_core.adaptation.run import AdaptationRequest

EXIT_REFUSED = 3


def adapt(
    restorer: str,
    videos: str,
    iterations: int,
    frames: int,
    out: Path | None,
    device: str | None,
    seed: int,
    as_json: bool,
    teacher: str | None = None,
) -> int:
    """Adapts and says what came of it. Returns 0, or 3 where the original is the better one and nothing was written.

    Raises UsageError before anything is read.
    """
    from deblur_core.adaptation.run import adapt_restorer

    request = adaptation_request(restorer, videos, str(out or f"{restorer}-adapted.safetensors"), iterations, frames,
                                 device, seed, teacher)  # fmt: skip
    with _shown(iterations, not as_json) as watch:
        report = adapt_restorer(request, watch)
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(report))
    return 0 if report["accepted"] else EXIT_REFUSED


def adaptation_request(
    restorer: str,
    videos: str,
    out: str,
    iterations: int,
    frames: int,
    device: str | None,
    seed: int,
    teacher: str | None = None,
) -> "AdaptationRequest":
    """The request with what RESTORE_… and restore.toml say of weights, selector, threshold, device and suffixes."""
    from deblur_core.adaptation.run import AdaptationRequest
    from deblur_core.adaptation.settings import AdaptationSettings

    settings = resolve_settings(device=device)
    chosen = AdaptationSettings(iterations=iterations, frames=frames, seed=seed)  # type: ignore[arg-type]
    return AdaptationRequest(
        restorer, videos, out, chosen, settings.video_suffixes, settings.device, settings.selector, settings.threshold,
        settings.weights, teacher,
    )  # fmt: skip


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report in words."""
    for each in report["skipped"]:
        yield f"left out: {each['error']}"
    pairs, patches = report["held_out_pairs"], report["blurred_patches"]
    videos = len(report["videos"])
    yield (
        f"{report['restorer']}: {report['iterations']} iterations over {videos} video{'s' if videos != 1 else ''} in "
        f"{report['seconds']:.0f} s; motion explains the blur of {patches['explained_by_motion']} of "
        f"{patches['looked_at']} places, {patches['learnt_from']} of them could teach"
    )
    if report["teacher"]:
        yield f"{report['teacher']} restored {report['taught_patches']} blurred places to learn from"
    if pairs["psnr_after_db"] is not None and pairs["psnr_before_db"] is not None:
        gain = pairs["psnr_after_db"] - pairs["psnr_before_db"]
        yield (
            f"{pairs['count']} held-out pairs: {pairs['psnr_before_db']:.2f} → {pairs['psnr_after_db']:.2f} dB, "
            f"{gain:+.3f} ± {pairs['gain_standard_error_db'] or 0.0:.3f}"
        )
    if report["accepted"]:
        yield f"adapted weights: {report['out']}; use them with --restorer {report['restorer']} --weights …"
    else:
        yield f"refused: {report['reason']}"


@contextmanager
def _shown(iterations: int, visible: bool) -> Iterator["Watch"]:
    """A line on stderr that counts; nothing where nobody looks."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (visible and console.is_terminal)) as progress:
        task = progress.add_task("adapting", total=iterations)
        yield lambda done: progress.update(task, completed=done)
