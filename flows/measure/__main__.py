"""The options of the measurements."""

import argparse
import logging
import sys
from fractions import Fraction
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m flows.measure", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    stages = commands.add_parser("stages", help="frames a second of each stage alone and of the whole run")
    stages.add_argument("--video", type=Path, help="a 720p clip, partly blurred [one is rendered]")
    stages.add_argument("--work", type=Path, default=Path("scratch/measure-stages"))
    held_out = commands.add_parser("held-out", help="labels and PSNR on clips that training never saw")
    held_out.add_argument("--data", type=Path, required=True, help="folder with video/*/*")
    held_out.add_argument("--work", type=Path, default=Path("scratch/measure-held-out"))
    held_out.add_argument("--seeds", type=int, nargs="+", default=[1])
    held_out.add_argument("--frames", type=int, default=72)
    held_out.add_argument("--shorter-side", type=int, default=480)
    models = commands.add_parser("models", help="every restorer side by side, for docs/models.md")
    models.add_argument("--data", type=Path, required=True, help="folder with video/*/*")
    models.add_argument("--work", type=Path, default=Path("scratch/measure-models"))
    models.add_argument("--frames", type=int, default=20)
    models.add_argument("--shorter-side", type=int, default=360)
    models.add_argument("--seed", type=int, default=1)
    models.add_argument("names", nargs="*", help="restorers [all]")
    ablations = commands.add_parser("ablations", help="the papers' ablations made again, for docs/models.md")
    ablations.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sharp videos, photographs")
    ablations.add_argument("--work", type=Path, default=Path("scratch/measure-ablations"))
    ablations.add_argument("--minutes-each", type=float, help="processor time that each reference is trained for")
    ablations.add_argument("--steps", type=int, help="instead: exactly so many steps for each network")
    ablations.add_argument("--only", nargs="+", default=[], metavar="PAPER")
    selectors = commands.add_parser("selectors", help="every selector side by side, for docs/models.md")
    selectors.add_argument("--data", type=Path, required=True, help="folder with video/*/*")
    selectors.add_argument("--work", type=Path, default=Path("scratch/measure-selectors"))
    selectors.add_argument("--frames", type=int, default=48)
    selectors.add_argument("--shorter-side", type=int, default=480)
    selectors.add_argument("--seeds", type=int, nargs="+", default=[1])
    selectors.add_argument("--false-alarm-db", type=float, default=1.0, help="what a false alarm counts in harm [1]")
    selectors.add_argument("--blurred-share", type=float, default=0.3, help="of an archive's frames, for harm [0.3]")
    pictures = commands.add_parser("pictures", help="each restorer's details of the demonstration, for docs/models.md")
    pictures.add_argument("--demo", type=Path, default=Path("demo"), help="what make demo left [demo]")
    pictures.add_argument("--out", type=Path, default=Path("docs/images/restorers.jpg"))
    long = commands.add_parser("long", help="memory and temporary data while hours of video are restored")
    long.add_argument("--work", type=Path, default=Path("scratch/measure-long"))
    long.add_argument("--minutes", type=float, default=60.0, help="of film [60]")
    long.add_argument("--rate", type=Fraction, default=Fraction(25), help="frames a second, a multiple of 5/8 [25]")
    long.add_argument("--only", help="the one film whose name begins so: 1080p or 144p")
    arguments = parser.parse_args()
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    from deblur_core.errors import RestoreArchiveError

    try:
        return _measure(arguments)
    except RestoreArchiveError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _measure(arguments: argparse.Namespace) -> int:
    if arguments.command == "stages":
        from flows.measure.stages import measure_stages

        return measure_stages(arguments.video, arguments.work)
    if arguments.command == "models":
        from flows.measure.models import measure_models

        given = arguments
        return measure_models(given.data, given.work, given.frames, given.shorter_side, given.seed, given.names)
    if arguments.command == "ablations":
        from flows.measure.ablations.run import measure_ablations

        given = arguments
        return measure_ablations(given.data, given.work, given.minutes_each, given.steps, given.only)
    if arguments.command == "long":
        from flows.measure.long import measure_long

        return measure_long(arguments.work, arguments.minutes, arguments.rate, arguments.only)
    if arguments.command == "pictures":
        from flows.measure.pictures import measure_pictures

        return measure_pictures(arguments.demo, arguments.out)
    if arguments.command == "selectors":
        from flows.measure.selectors import measure_selectors

        given = arguments
        return measure_selectors(
            given.data, given.work, given.frames, given.shorter_side, given.seeds, given.false_alarm_db,
            given.blurred_share,
        )  # fmt: skip
    from flows.measure.held_out import measure_held_out

    return measure_held_out(arguments.data, arguments.work, arguments.seeds, arguments.frames, arguments.shorter_side)


if __name__ == "__main__":
    sys.exit(main())
