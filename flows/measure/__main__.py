"""The options of the measurements."""

import argparse
import logging
import sys
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
    arguments = parser.parse_args()
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    if arguments.command == "stages":
        from flows.measure.stages import measure_stages

        return measure_stages(arguments.video, arguments.work)
    if arguments.command == "models":
        from flows.measure.models import measure_models

        given = arguments
        return measure_models(given.data, given.work, given.frames, given.shorter_side, given.seed, given.names)
    from flows.measure.held_out import measure_held_out

    return measure_held_out(arguments.data, arguments.work, arguments.seeds, arguments.frames, arguments.shorter_side)


if __name__ == "__main__":
    sys.exit(main())
