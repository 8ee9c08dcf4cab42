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

from deblur_core.errors import RestoreArchiveError, UsageError
from flows.quiet import prepare_environment

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="restore-archive",
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
    selector: Annotated[str | None, typer.Option(help="see restore-archive models")] = None,
    threshold: Annotated[float | None, typer.Option(help="0 to 1; a frame this likely blurred is restored")] = None,
    stride: Annotated[int | None, typer.Option(help="measure the middle frame of every N (fast mode: 15)")] = None,
    codec: Annotated[str | None, typer.Option(help="auto, h264, hevc, av1, vp9 or ffv1")] = None,
    crf: Annotated[float | None, typer.Option(help="quality of restored frames, lower is better")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    work: Annotated[str | None, typer.Option(help="where temporary data lies [DESTINATION/_restore/work]")] = None,
    ray_address: Annotated[str | None, typer.Option(help="local, auto or host:port")] = None,
    segment_frames: Annotated[int | None, typer.Option(help="frames a segment has at most")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
    dry_run: Annotated[bool, typer.Option(help="list what would be done and its cost; write nothing")] = False,
    force: Annotated[bool, typer.Option(help="do again what is done already")] = False,
) -> None:
    """Restore a whole archive; running it again goes on where it stopped."""
    arguments: dict[str, Any] = {
        name: value for name, value in locals().items() if name not in ("as_json", "dry_run", "force")
    }
    from flows.commands.run import run as command

    _exit(lambda: command(arguments, force=force, dry_run=dry_run, as_json=as_json), as_json)


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
def models() -> None:
    """List the selectors and restorers with their sizes and scores."""
    from flows.commands.models import models as command

    _exit(command)


@app.command()
def doctor() -> None:
    """Check GPU, codecs, storage, Ray and Prefect, and say what to mend."""
    from flows.commands.doctor import doctor as command

    _exit(command)


def _exit(command: Callable[[], int], as_json: bool = False) -> NoReturn:
    """Runs a command and ends the process with its exit code; nobody ever sees a traceback for a wrong request."""
    prepare_environment(embedded_server=False)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = command()
    except KeyboardInterrupt:
        _hush()
        _say("interrupted: run the same command again to continue", as_json)
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
    sys.stderr.write(f"restore-archive: {' '.join(text.split())}\n")
    if as_json:
        sys.stdout.write(json.dumps({"error": " ".join(text.split())}) + "\n")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
