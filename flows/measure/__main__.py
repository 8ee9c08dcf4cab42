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
    arguments = parser.parse_args()
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    if arguments.command == "stages":
        from flows.measure.stages import measure_stages

        return measure_stages(arguments.video, arguments.work)
    from flows.measure.held_out import measure_held_out

    return measure_held_out(arguments.data, arguments.work, arguments.seeds, arguments.frames, arguments.shorter_side)


if __name__ == "__main__":
    sys.exit(main())
