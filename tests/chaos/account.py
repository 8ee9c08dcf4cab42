"""What became of each fault, told by the events of its trial: what it hit, what then happened, how long it took.

Time to recover: until what was hit is done: the call, the request; where the run ended with it, until the run after it
has done that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.judge import call_key

Event = Mapping[str, Any]

SAME_PROCESS = "the call went on"
SAME_RUN = "done again in the same run"
NEXT_RUN = "the run ended, the next one went on"
FAILED_FIRST = "the video failed with its reason, the next run did it"
NOTHING_LEFT = "all was done already"


@dataclass(frozen=True)
class Injection:
    """A fault that was put in. seconds: to recover, None where nothing was lost; in_flight, redone: calls that were on
    their way when it killed something, and those of them that were begun again; wrong: why it does not hold."""

    kind: str
    outcome: str
    seconds: float | None
    in_flight: int = 0
    redone: int = 0
    wrong: str = ""


def injections(events: Sequence[Event]) -> list[Injection]:
    """Of all events of a trial, in order of time."""
    ordered = sorted(events, key=lambda event: float(event["at"]))
    return [_injection(ordered, place) for place, event in enumerate(ordered) if event["what"] == "fault"]


def _injection(events: Sequence[Event], place: int) -> Injection:
    fault, after = events[place], events[place + 1 :]
    if "outcome" in fault:  # who put it in saw what became of it
        return Injection(fault["kind"], fault["outcome"], fault.get("seconds"))
    if fault.get("stage") and "video" not in fault:
        return _of_start(fault, after)
    on_their_way = in_flight(events[:place], fault)
    if not on_their_way:
        return _of_run(fault, after)
    ends = [_next_end(after, call) for call in on_their_way]
    done = [end for end in ends if end is not None]
    again = [event for event in after if event["what"] == "begin" and call_key(event) in on_their_way]
    if len(done) < len(ends):
        return Injection(fault["kind"], "never done", None, len(ends), 0, f"not done after it: {fault}")
    last = max(done, key=lambda event: float(event["at"]))
    redone = len({call_key(event) for event in again} - {call_key(end) for end in done if end.get("reused")})
    seconds = float(last["at"]) - float(fault["at"])
    return Injection(fault["kind"], _outcome(fault, last, after), seconds, len(ends), redone)


def in_flight(before: Sequence[Event], fault: Event) -> list[tuple[Any, ...]]:
    """Calls begun and not ended when a fault came: of the process that it hit, or of the whole run it hit."""
    open_calls: dict[int, tuple[Any, ...]] = {}
    for event in before:
        if event["run"] != fault.get("victim_run", fault["run"]):
            continue
        if event["what"] == "begin":
            open_calls[event["pid"]] = call_key(event)
        elif event["what"] in ("done", "raised"):
            open_calls.pop(event["pid"], None)
    if "victim_run" in fault:
        return list(dict.fromkeys(open_calls.values()))
    hit = fault.get("victims", [fault["pid"]])
    return list(dict.fromkeys(call for pid, call in open_calls.items() if pid in hit))


def _next_end(after: Sequence[Event], call: tuple[Any, ...]) -> Event | None:
    """The call's own end, or that of its video, in which all its calls end; of another version where the source
    changed."""
    for event in after:
        if event["what"] == "done":
            same_video = event["video"] == call[1]
            if call_key(event) == call or (same_video and event["stage"] == "publish"):
                return event
            if same_video and event["stage"] == "plan" and event["reused"] and call[0] == "publish":
                return event
    return None


def _outcome(fault: Event, end: Event, after: Sequence[Event]) -> str:
    if end["run"] == fault.get("victim_run", fault["run"]):
        return SAME_PROCESS if end["pid"] == fault["pid"] else SAME_RUN
    lives = "victim_run" not in fault and any(event["run"] == fault["run"] for event in after)
    return FAILED_FIRST if lives or fault.get("run_lives") else NEXT_RUN


def _of_start(fault: Event, after: Sequence[Event]) -> Injection:
    for event in after:
        if event["what"] == "built" and event["stage"] == fault["stage"]:
            same = event["run"] == fault["run"]
            seconds = float(event["at"]) - float(fault["at"])
            return Injection(fault["kind"], "another actor was started" if same else NEXT_RUN, seconds)
    return Injection(fault["kind"], NOTHING_LEFT, None)


def _of_run(fault: Event, after: Sequence[Event]) -> Injection:
    """Nothing was on its way: until anything is begun again."""
    for event in after:
        if event["what"] == "begin":
            same = event["run"] == fault.get("victim_run", fault["run"])
            seconds = float(event["at"]) - float(fault["at"])
            return Injection(fault["kind"], "the run went on" if same else NEXT_RUN, seconds)
    return Injection(fault["kind"], NOTHING_LEFT, None)
