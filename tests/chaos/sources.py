"""A world that changes while a run looks at it: files that are replaced, grow or go; clocks that jump."""

from __future__ import annotations

import hashlib
import shutil

from tests.chaos.expected import Expected
from tests.chaos.trial import Trial

_DAY = 24 * 3600.0
_JUMPS = (-30 * _DAY, -3600.0, 3600.0, 2 * _DAY, 3650 * _DAY)
_FREE_BOX = (4096).to_bytes(4, "big") + b"free" + bytes(4088)


def changing(trial: Trial) -> None:
    """One video becomes another, one grows, one is away for a while."""
    source = trial.folder / "source"
    shutil.copytree(trial.archive.source, source)
    trial.source = source
    sharp, one, tail = source / "sharp.mp4", source / "one.mp4", source / "tail.mov"
    other = trial.folder / "other.mp4"
    shutil.copyfile(sharp, other)
    stages = ["classify", "deblur", "assemble", "publish"]
    where = {"video": one.name, "stage": trial.chance.choice(stages)}
    trial.ticket("a video is replaced while it is read", "begin", "replace_file", [str(other), str(one)], **where)
    box = trial.folder / "box"
    box.write_bytes(_FREE_BOX)
    where = {"video": sharp.name, "stage": trial.chance.choice(["classify", "publish"])}
    trial.ticket("a video grows while it is read", "begin", "append_file", [str(box), str(sharp)], **where)
    away = trial.folder / "away.mov"
    where = {"video": tail.name, "stage": trial.chance.choice(stages)}
    trial.ticket("a video goes while it is read", "begin", "move_file", [str(tail), str(away)], **where)
    trial.before_plain.append(lambda: away.exists() and away.rename(tail))
    usual = trial.expected.hashes
    copied = usual[one.name] | usual[sharp.name]
    grown = usual[sharp.name] | {hashlib.sha256(sharp.read_bytes() + _FREE_BOX).hexdigest()}
    trial.expected = Expected({**usual, one.name: copied, sharp.name: grown})
    trial.run()


def clocks(trial: Trial) -> None:
    """What the clock says jumps, in the driver and in actors."""
    for number, seconds in enumerate(trial.chance.sample(_JUMPS, 3)):
        words = "forwards" if seconds > 0 else "back"
        calls = trial.archive.drawn(trial.chance, ("classify", "deblur", "assemble")[number], 1)
        where = {name: calls[0][name] for name in ("stage", "video", "first")}
        trial.ticket(f"an actor's clock jumps {words}", "begin", "move_clock", seconds, **where)
    seconds = trial.chance.choice(_JUMPS)
    words = "forwards" if seconds > 0 else "back"
    trial.ticket(f"the driver's clock jumps {words}", "written", "move_clock", seconds, object="lease")
    trial.run()
