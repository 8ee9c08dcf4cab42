"""The command line `restore-archive`: options, exit codes and the one border where errors become a line of text.

Exit codes: 0 done; 2 wrong usage; 3 finished, but some videos failed; 130 interrupted, resumable.
"""

import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from deblur_core.errors import RestoreArchiveError, UsageError
from deblur_core.redaction import redacted
from deblur_core.storage.keys import printable
from flows.quiet import prepare_environment

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
_GOES_ON = "run the same command again to continue"
_GOES_ON_IF_TOLD = "run the same command again with --resume to continue"
_STARTS_OVER = "run the same command again, it starts from the beginning"


class _Commands(TyperGroup):
    """With --json, what the parser of the options refuses is told on stdout as well, as every other error is."""

    def invoke(self, ctx: Any) -> Any:
        as_json = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except Exception as error:
            refused: Callable[[], str] | None = getattr(error, "format_message", None)
            if as_json and refused is not None:
                _print_error(refused())
            raise


app = typer.Typer(
    name="restore-archive",
    cls=_Commands,
    help="Restores the motion-blurred frames of video archives and leaves everything else as it was.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    source: Annotated[str | None, typer.Argument(help="a file, a folder or s3://bucket/prefix")] = None,
    destination: Annotated[str | None, typer.Argument(help="a file, a folder or s3://bucket/prefix")] = None,
    restorer: Annotated[str | None, typer.Option(help="see restore-archive models")] = None,
    weights: Annotated[str | None, typer.Option(help="your own for it, from train or adapt")] = None,
    selector: Annotated[str | None, typer.Option(help="see restore-archive models")] = None,
    threshold: Annotated[float | None, typer.Option(help="0 to 1; a frame this likely blurred is restored")] = None,
    stride: Annotated[int | None, typer.Option(help="measure the middle frame of every N (fast mode: 15)")] = None,
    slow_motion: Annotated[
        int | None, typer.Option(help="7: each restored frame becomes the seven moments of its exposure; 1 is off")
    ] = None,
    reencode: Annotated[
        bool | None,
        typer.Option("--reencode/--no-reencode", help="encode the untouched stretches of restored videos again, too"),
    ] = None,
    codec: Annotated[str | None, typer.Option(help="auto, h264, hevc, av1, vp9 or ffv1")] = None,
    crf: Annotated[
        float | None, typer.Option(help="quality of restored frames, lower is better: 0 to 51; 63 with vp9 or av1")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    work: Annotated[str | None, typer.Option(help="where temporary data lies [DESTINATION/_restore/work]")] = None,
    ray_address: Annotated[str | None, typer.Option(help="local, auto or host:port")] = None,
    segment_frames: Annotated[int | None, typer.Option(help="frames a segment has at most")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
    dry_run: Annotated[bool, typer.Option(help="list what would be done and its cost; write nothing")] = False,
    force: Annotated[bool, typer.Option(help="do again what is done already")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="try again what failed for good")] = False,
) -> None:
    """Restore a whole archive; running it again goes on where it stopped."""
    arguments: dict[str, Any] = {
        name: value for name, value in locals().items() if name not in ("as_json", "dry_run", "force", "retry_failed")
    }
    from flows.commands.run import run as command

    _exit(lambda: command(arguments, force, retry_failed, dry_run, as_json), as_json, _GOES_ON)


@app.command()
def verify(
    source: Annotated[str | None, typer.Argument(help="a file, a folder or s3://bucket/prefix")] = None,
    destination: Annotated[str | None, typer.Argument(help="where run has published it")] = None,
    hashes_only: Annotated[bool, typer.Option("--hashes-only", help="compare hashes, decode nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
) -> None:
    """Prove again that every published video is its source but for the frames that were restored."""
    from flows.commands.verify import verify as command

    _exit(lambda: command(source, destination, hashes_only, as_json), as_json)


@app.command()
def inspect(
    video: Annotated[Path, typer.Argument(help="one video file")],
    out: Annotated[Path | None, typer.Option(help="folder for picture and manifest [VIDEO.inspection]")] = None,
    selector: Annotated[str | None, typer.Option(help="see restore-archive models")] = None,
    threshold: Annotated[float | None, typer.Option(help="0 to 1")] = None,
) -> None:
    """Classify one video: a table of its stretches, a timeline picture, a manifest."""
    from flows.commands.inspect_video import inspect_video

    _exit(lambda: inspect_video(video, out, selector, threshold))


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="a video")],
    after: Annotated[Path, typer.Argument(help="the same video, restored")],
    out: Annotated[Path | None, typer.Option(help="the picture [AFTER.comparison.png]")] = None,
) -> None:
    """PSNR and SSIM of every frame, and a side-by-side picture."""
    from flows.commands.compare import compare as command

    _exit(lambda: command(before, after, out))


@app.command()
def synthesize(
    sharp_dir: Annotated[Path, typer.Argument(help="folder with sharp videos and photographs")],
    out: Annotated[Path, typer.Argument(help="folder for the pairs, one folder a clip")],
    model: Annotated[str | None, typer.Option(help="rebvids, shake or auto: rebvids from 50 frames/s on")] = None,
    seed: Annotated[int | None, typer.Option(help="the same seed gives the same bytes [0]")] = None,
    averaging: Annotated[str | None, typer.Option(help="linear (light) or signal, as the paper has it")] = None,
    interval: Annotated[tuple[int, int] | None, typer.Option(help="frames averaged, least and most [7 12]")] = None,
    blurred_share: Annotated[
        tuple[float, float] | None, typer.Option(help="of the frames of a clip, least and most [0.4 0.7]")
    ] = None,
    defocus_share: Annotated[float | None, typer.Option(help="of the blurred runs: out of focus instead [0]")] = None,
    highlights: Annotated[float | None, typer.Option(help="share of clips whose clipped lamps smear bright")] = None,
    noise: Annotated[float | None, typer.Option(help="times the sensor's noise, 0 for none [1]")] = None,
    compression: Annotated[str | None, typer.Option(help="mixed, h264, jpeg or none")] = None,
    crf: Annotated[tuple[float, float] | None, typer.Option(help="of H.264, least and most [16 30]")] = None,
    frames: Annotated[int | None, typer.Option(help="use the first N frames of each clip only")] = None,
    shorter_side: Annotated[int | None, typer.Option(help="make larger frames smaller, in pixels")] = None,
    picture_rate: Annotated[
        float | None, typer.Option(help="frames/s: the pictures of a folder are a clip, not photographs")
    ] = None,
    video: Annotated[bool, typer.Option("--video", help="also an MP4 of the blurred side")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the clips in an OUT that is not empty")] = False,
) -> None:
    """Make partly blurred pairs with known truth from sharp video (REBVIDS model)."""
    given = {name: value for name, value in locals().items() if name not in ("sharp_dir", "out", "force")}
    from flows.commands.synthesize import SynthesisOptions
    from flows.commands.synthesize import synthesize as command

    options = {name: value for name, value in given.items() if value is not None}
    _exit(lambda: command(sharp_dir, out, SynthesisOptions(**options), force), after_interrupt=_GOES_ON)


@app.command()
def evaluate(
    restorer: Annotated[str, typer.Argument(help="see restore-archive models")],
    pairs: Annotated[Path, typer.Option(help="folder with blurred/*.png and sharp/*.png, or a published set")],
    set_name: Annotated[
        str | None,
        typer.Option("--set", help="plain, gopro, gopro-gamma, reds, dvd, bsd, realblur or hide; else told by shape"),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="your own for it, from train or adapt")] = None,
    single: Annotated[bool, typer.Option("--single", help="photographs: no frame is another's neighbour")] = False,
    align: Annotated[bool, typer.Option("--align", help="score after alignment (ECC), as RealBlur is")] = False,
    selector: Annotated[
        str | None, typer.Option(help="lets it say which frames are blurred; without it all are")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
) -> None:
    """PSNR and SSIM of a restorer on blurred frames whose truth is known."""
    from flows.commands.evaluate import evaluate as command

    _exit(lambda: command(restorer, pairs, set_name, single, align, selector, device, as_json, weights), as_json)


@app.command()
def train(
    name: Annotated[str | None, typer.Argument(help="which restorer; see train --list")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="sharp videos and photographs; may be given again")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for weights, checkpoint and curve [training/NAME]")] = None,
    minutes: Annotated[float | None, typer.Option(help="budget, wall clock; the schedule is fitted to it")] = None,
    steps: Annotated[int | None, typer.Option(help="budget in steps instead")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the training in --out")] = False,
    published: Annotated[bool, typer.Option("--published", help="the paper's own recipe")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    seed: Annotated[int, typer.Option(help="of everything that is drawn")] = 1,
    threads: Annotated[int, typer.Option(help="of the network on a CPU")] = 2,
    samples: Annotated[int, typer.Option(help="rendered to learn from; about 1 MiB of disk each")] = 4096,
    peak_rate: Annotated[float | None, typer.Option(help="learning rate instead of the recipe's, AdamW's")] = None,
    start_from: Annotated[Path | None, typer.Option(help="weights to begin with")] = None,
    shots: Annotated[bool, typer.Option("--shots", help="learn from shots that --start-from restored, too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="what each training needs")] = False,
) -> None:
    """Train a restorer on sharp material of your own."""
    from flows.commands.train import list_recipes
    from flows.commands.train import train as command

    def go() -> int:
        if list_them:
            return list_recipes()
        return command(
            name, data or [], out, minutes, steps, resume=resume, published=published, device=device, seed=seed,
            threads=threads, samples=samples, peak_rate=peak_rate, start_from=start_from, shots=shots,
            as_json=as_json,
        )  # fmt: skip

    _exit(go, as_json, _GOES_ON_IF_TOLD)


@app.command()
def adapt(
    restorer: Annotated[str, typer.Argument(help="see restore-archive models")],
    videos: Annotated[str, typer.Option(help="the videos to fit it to: a file, a folder or s3://bucket/prefix")],
    iterations: Annotated[int, typer.Option(help="steps of learning")] = 200,
    frames: Annotated[int, typer.Option(help="2 or 3: restored frames that the motion is taken from")] = 3,
    out: Annotated[Path | None, typer.Option(help="weights to write [RESTORER-adapted.safetensors]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    seed: Annotated[int, typer.Option(help="of everything that is drawn")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
    teacher: Annotated[
        str | None, typer.Option(help="restorer to learn from on blurred frames, or none [its own]")
    ] = None,
) -> None:
    """Fit a restorer to your own videos, without any truth."""
    from flows.commands.adapt import adapt as command

    _exit(lambda: command(restorer, videos, iterations, frames, out, device, seed, as_json, teacher), as_json)


@app.command()
def models() -> None:
    """List the selectors and restorers with their sizes and scores."""
    from flows.commands.models import models as command

    _exit(command)


@app.command()
def doctor() -> None:
    """Check GPU, codecs, storage, Ray and Prefect, and say what to mend."""
    from flows.commands.doctor import doctor as command

    _exit(command)


def _exit(command: Callable[[], int], as_json: bool = False, after_interrupt: str = _STARTS_OVER) -> NoReturn:
    """Runs a command and ends the process with its exit code; nobody ever sees a traceback for a wrong request.

    after_interrupt: what to do then, for a person to read.
    """
    prepare_environment(embedded_server=False)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = command()
    except KeyboardInterrupt:
        _hush()
        _say(f"interrupted: {after_interrupt}", as_json)
        code = EXIT_INTERRUPTED
    except UsageError as error:
        _hush()
        _say(str(error), as_json)
        code = EXIT_USAGE
    except RestoreArchiveError as error:
        _say(str(error), as_json)
        code = EXIT_FAILED
    raise typer.Exit(code)


def _interrupt(signum: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _hush() -> None:
    """Prefect's threads complain of the server's end on their way out; the last word is ours."""
    logging.disable(logging.CRITICAL)


def _say(text: str, as_json: bool) -> None:
    text = redacted(text)
    sys.stderr.write(f"restore-archive: {printable(' '.join(text.split()))}\n")
    if as_json:
        _print_error(text)


def _print_error(text: str) -> None:
    sys.stdout.write(json.dumps({"error": " ".join(redacted(text).split())}) + "\n")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
