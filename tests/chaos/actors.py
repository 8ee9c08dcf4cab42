"""Actors that are killed, end themselves, hang, run out of memory or never become ready."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.chaos.acts import ACTS
from tests.chaos.archive import BULKY
from tests.chaos.trial import Started, Trial

POOLS = {"classify": ("classify",), "deblur": ("deblur",), "media": ("plan", "assemble", "publish")}
_KILLS = 5
_HANG_SECONDS = 20
_START_SECONDS = 45
_SPARE_BYTES = 256 << 20

# Where an actor ends itself: what the report calls it, the point, and what must hold there.
DEADLY_POINTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("classify actor killed as its call begins", "begin", {"stage": "classify"}),
    ("deblur actor killed as its call begins", "begin", {"stage": "deblur"}),
    ("media actor killed as it plans", "begin", {"stage": "plan"}),
    ("media actor killed as it publishes", "begin", {"stage": "publish"}),
    ("killed after the put, before the answer: classify", "end", {"stage": "classify"}),
    ("killed after the put, before the answer: deblur", "end", {"stage": "deblur"}),
    ("killed after the put, before the answer: assemble", "end", {"stage": "assemble"}),
    ("killed after the put, before the answer: publish", "end", {"stage": "publish"}),
    ("killed with a file written and not yet named: labels", "written", {"object": "labels"}),
    ("killed with a file written and not yet named: restored frames", "written", {"object": "overlay"}),
    ("killed with a file written and not yet named: encoded part", "written", {"object": "part"}),
    ("killed with a file written and not yet named: video", "written", {"object": "video"}),
    ("killed between restored frames and what tells of them", "kept", {"object": "overlay"}),
    ("killed after a video's put, before its record", "kept", {"object": "video"}),
    ("killed after a video's record, before its manifest", "kept", {"object": "record"}),
    ("killed after a video's manifest, before the end", "kept", {"object": "manifest"}),
    ("killed in the middle of decoding", "frame", {}),
    ("killed in the middle of joining a film", "join", {}),
)

# How an actor ends otherwise: what the report calls it, the act and its argument.
CRASHES: tuple[tuple[str, str, Any], ...] = (
    ("a segment makes its actor crash: segmentation fault", "segfault", None),
    ("a segment makes its actor crash: abort", "abort", None),
    ("a segment makes its actor leave", "leave", None),
    ("a segment asks for more memory than there is", "use_up_memory", _SPARE_BYTES),
)


def signals(trial: Trial) -> None:
    """SIGKILL and SIGTERM from outside, at random moments, to whoever works in each pool."""
    started = trial.start()
    pools = [pool for pool in POOLS for _ in range(2)]
    trial.chance.shuffle(pools)
    for pool in pools[:_KILLS]:
        name = trial.chance.choice(("SIGKILL", "SIGTERM"))
        if not trial.wait_for_calls(started, trial.chance.randint(1, 3)):
            break
        _kill_one(trial, started, pool, name)
    trial.end(started)


def _kill_one(trial: Trial, started: Started, pool: str, name: str) -> None:
    """Of a pool, somebody who is at work, if anybody is within a while."""
    until = time.monotonic() + 60.0
    while started.runs and time.monotonic() < until:
        busy = busy_actors(trial, started, pool)
        if busy:
            victim = trial.chance.choice(busy)
            time.sleep(trial.chance.uniform(0.0, 0.2))
            trial.fault(f"{pool} actor: {name}", run=started.mark, victims=[victim], pid=victim)
            with suppress(ProcessLookupError):
                os.kill(victim, getattr(signal, name))
            return
        time.sleep(0.02)


def busy_actors(trial: Trial, started: Started, pool: str) -> list[int]:
    """Process ids of a pool's actors that have a call now."""
    at_work: dict[int, str] = {}
    for event in trial.told_by(["begin", "done", "raised", "fault"]):
        if event["run"] == started.mark:
            if event["what"] == "begin":
                at_work[event["pid"]] = event["stage"]
            else:
                at_work.pop(event["pid"], None)
    return sorted(pid for pid, stage in at_work.items() if stage in POOLS[pool])


def points(trial: Trial) -> None:
    """Kills at chosen points, half of all in each trial, each in another call or video."""
    chosen = trial.chance.sample(DEADLY_POINTS, len(DEADLY_POINTS) // 2)
    taken = {stage: trial.archive.drawn(trial.chance, stage, 99) for stage in ("classify", "deblur", "assemble")}
    videos = [name for name in trial.archive.good if name not in ("sharp.mp4", BULKY)]
    trial.chance.shuffle(videos)
    for number, (kind, point, match) in enumerate(chosen):
        calls = taken.get(match.get("stage", ""), [])
        where: dict[str, Any] = {"video": videos[number % len(videos)]}
        if calls:
            call = calls.pop()
            where = {name: call[name] for name in ("video", "first")}
        nth = trial.chance.randint(2, 9) if point in ("frame", "join") else 1
        trial.ticket(kind, point, "kill", nth=nth, **match, **where)
    trial.run()


def crashes(trial: Trial) -> None:
    """A segment that ends its actor once in each way, and one that does so every time: that video is set aside."""
    calls = trial.archive.drawn(trial.chance, "deblur", len(CRASHES)) + trial.archive.drawn(trial.chance, "classify", 4)
    chance = trial.chance.sample(calls, len(CRASHES))
    for (kind, act, argument), call in zip(CRASHES, chance, strict=True):
        assert act in ACTS
        trial.ticket(kind, "begin", act, argument, stage=call["stage"], video=call["video"], first=call["first"])
    trial.run()


def poison(trial: Trial) -> None:
    """One segment ends its actor every time."""
    call = trial.archive.drawn(trial.chance, "deblur", 1)[0]
    how = trial.chance.choice(["kill", "segfault", "abort"])
    for _ in range(3):
        where = {name: call[name] for name in ("stage", "video", "first")}
        trial.ticket("a segment that ends its actor every time", "begin", how, **where)
    trial.run()


def hangs(trial: Trial) -> None:
    """Calls that never return: asleep, and in native code that keeps Python's lock."""
    calls = trial.archive.drawn(trial.chance, "deblur", 1) + trial.archive.drawn(trial.chance, "classify", 1)
    acts = trial.chance.sample(["sleep_forever", "spin"], 2)
    short = {f"{call['stage']} {call['video']}={_HANG_SECONDS}" for call in calls}
    for call, act in zip(calls, acts, strict=True):
        where = {name: call[name] for name in ("stage", "video", "first")}
        words = "asleep" if act == "sleep_forever" else "in native code, holding Python's lock"
        trial.ticket(f"a call that never returns, {words}", "begin", act, **where)
    trial.run(environment={"CHAOS_DEADLINES": ",".join(sorted(short))})


def starts(trial: Trial) -> None:
    """Actors that die, fail or hang while they load."""
    stages = trial.chance.sample(["classify", "deblur", "publish"], 3)
    for stage, act, words in zip(
        stages, ("sleep_forever", "kill", "fail"), ("never becomes ready", "dies", "fails"), strict=True
    ):
        trial.ticket(f"an actor {words} as it starts", "start", act, "put in on purpose", stage=stage)
    trial.run(environment={"CHAOS_DEADLINES": f"start={_START_SECONDS}"})


def gpu_memory(trial: Trial) -> None:
    """The GPU's memory is used up by somebody else while frames are restored."""
    calls = trial.archive.drawn(trial.chance, "deblur", 3)
    # Smaller tiles are blended, so some samples may come out one step off, also of what the same actor restores later.
    restored = frozenset(call["video"] for call in trial.archive.drawn(trial.chance, "deblur", 99))
    trial.expected = replace(trial.expected, proved=restored)
    for call in calls:
        where = {name: call[name] for name in ("video", "first")}
        trial.ticket("no room left in the GPU's memory", "network", "out_of_gpu_memory", **where)
    trial.run()
