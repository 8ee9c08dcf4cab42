"""What became of each fault, told by the events of its trial: what it hit, what then happened, how long it took.

Time to recover: until what was hit is done: the call, the object, the request; where the run ended with it, until the
run after it has done that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.archive import BROKEN
from tests.chaos.judge import call_key

Event = Mapping[str, Any]
Call = tuple[Any, ...]

SAME_PROCESS = "the call went on"
SAME_RUN = "done again in the same run"
FOUND = "asked for again in the same run, which found it done"
SAME_RUN_OBJECT = "the same run wrote it"
ANOTHER_ACTOR = "another actor was started"
IDLE = "nobody had a call, the run went on"
NEXT_RUN = "the run ended, the next one went on"
FAILED_FIRST = "the video failed with its reason, the next run did it"
NOTHING_LEFT = "nothing was lost, nothing was left to do"


@dataclass(frozen=True)
class Injection:
    """A fault that was put in. seconds: to recover, None where nothing was lost; in_flight, redone: calls that were on
    their way when it killed something, and those of them that were done again; wrong: why it does not hold."""

    kind: str
    outcome: str
    seconds: float | None
    in_flight: int = 0
    redone: int = 0
    wrong: str = ""


@dataclass(frozen=True)
class _Fate:
    """Of a call that was hit. end: where it was done after all; went_on: by whoever had it; redone: begun again, and
    its output was not there."""

    call: Call
    end: Event | None
    went_on: bool
    redone: bool


def injections(events: Sequence[Event]) -> list[Injection]:
    """Of all events of a trial, in order of time."""
    ordered = sorted(events, key=lambda event: float(event["at"]))
    return [_injection(ordered, place) for place, event in enumerate(ordered) if event["what"] == "fault"]


def _injection(events: Sequence[Event], place: int) -> Injection:
    fault, after = events[place], events[place + 1 :]
    if "outcome" in fault:  # who put it in saw what became of it
        return Injection(fault["kind"], fault["outcome"], fault.get("seconds"))
    if fault.get("stage") and "video" not in fault:
        wanted = {"what": "built", "stage": fault["stage"]}
        return _until(fault, after, wanted, ANOTHER_ACTOR)
    everything, ended = after, _ended_by(fault, after)
    if ended:  # what its actors still did in their last moments, the next run must find
        after = [event for event in after if event["run"] != fault["victim_run"]]
    hit = (_failed(fault, after) if fault.get("lasts") else []) or in_flight(events[:place], fault)
    if hit:
        fates = [_fate(call, after) for call in hit]
        # Of a video that was still published, the next run asks nothing but that.
        fates = [fate if fate.end is not None else _fate(fate.call, everything) for fate in fates]
        return _of_calls(fault, fates, NEXT_RUN if ended else _outcome(fault, fates, after))
    if "object" in fault:
        return _until(fault, after, {"what": "kept", "object": fault["object"]}, SAME_RUN_OBJECT)
    return _until(fault, after, {"what": "begin"}, IDLE)


def _ended_by(fault: Event, after: Sequence[Event]) -> bool:
    """Whether the run that it hit, all of it, came to no end of its own."""
    ends = (event for event in after if event["what"] == "ended" and event["run"] == fault.get("victim_run"))
    return any(event["code"] not in (0, 3) for event in ends)


def _failed(fault: Event, after: Sequence[Event]) -> list[Call]:
    """Calls of its run that a fault which lasts made fail."""
    raised = (event for event in after if event["what"] == "raised" and event["run"] == fault["victim_run"])
    return list(dict.fromkeys(call_key(event) for event in raised if event["video"] != BROKEN))


def in_flight(before: Sequence[Event], fault: Event) -> list[Call]:
    """Calls begun and not ended when a fault came: of the process that it hit, or of the whole run it hit. One that has
    just ended has not yet been heard of: it counts where the fault came in its very process."""
    open_calls: dict[int, Call] = {}
    for event in before:
        if event["run"] != fault.get("victim_run", fault["run"]):
            continue
        if event["what"] in ("begin", "done", "raised"):  # also of a call that its former process took with it
            open_calls = {pid: call for pid, call in open_calls.items() if call != call_key(event)}
        if event["what"] == "begin":
            open_calls[event["pid"]] = call_key(event)
    if "video" in fault:
        open_calls[fault["pid"]] = call_key(fault)
    if "victim_run" in fault:
        return list(dict.fromkeys(open_calls.values()))
    hit = fault.get("victims", [fault["pid"]])
    return list(dict.fromkeys(call for pid, call in open_calls.items() if pid in hit))


def _fate(call: Call, after: Sequence[Event]) -> _Fate:
    """Its end is its own, or that of its video, in which all its calls end; of another version where the source
    changed; that it raises what it must, where no run can do it."""
    own = [event for event in after if call_key(event) == call and event["what"] in ("begin", "done", "raised")]
    went_on = bool(own) and own[0]["what"] == "done"
    done = next((event for event in own if event["what"] == "done"), None)
    video = next((event for event in after if _ends_video(event, call)), None)
    ends = sorted((each for each in (done, video) if each is not None), key=lambda event: float(event["at"]))
    end = ends[0] if ends else next((event for event in own if event["what"] == "raised"), None)
    return _Fate(call, end, went_on, not went_on and done is not None and not done["reused"])


def _ends_video(event: Event, call: Call) -> bool:
    if event["what"] != "done" or event["video"] != call[1]:
        return False
    return bool(event["stage"] == "publish" or (event["stage"] == "plan" and event["reused"] and call[0] == "publish"))


def _of_calls(fault: Event, fates: Sequence[_Fate], outcome: str) -> Injection:
    ends = [fate.end for fate in fates if fate.end is not None]
    if len(ends) < len(fates):
        lost = [fate.call for fate in fates if fate.end is None]
        return Injection(fault["kind"], "never done", None, len(fates), 0, f"never done after it: {lost}")
    last = max(ends, key=lambda event: float(event["at"]))
    seconds = float(last["at"]) - float(fault["at"])
    # Of a run that lives, what nothing happened to was not hit.
    hit = [fate for fate in fates if not fate.went_on] or fates
    redone = sum(fate.redone for fate in fates)
    return Injection(fault["kind"], outcome, seconds, len(hit), redone)


def _outcome(fault: Event, fates: Sequence[_Fate], after: Sequence[Event]) -> str:
    run = fault.get("victim_run", fault["run"])
    if all(fate.end is None or fate.end["run"] == run for fate in fates):
        if all(fate.went_on for fate in fates):
            return SAME_PROCESS
        return SAME_RUN if any(fate.redone for fate in fates) else FOUND
    code = next((event["code"] for event in after if event["what"] == "ended" and event["run"] == run), None)
    if code is not None:
        return FAILED_FIRST if code in (0, 3) else NEXT_RUN
    calls = {fate.call for fate in fates}
    failed = any(event["what"] == "raised" and event["run"] == run and call_key(event) in calls for event in after)
    return FAILED_FIRST if failed else NEXT_RUN


def _until(fault: Event, after: Sequence[Event], wanted: Event, in_same_run: str) -> Injection:
    """Until something of this kind happens; that it never does means that nothing was lost."""
    for event in after:
        if wanted.items() <= event.items():
            same = event["run"] == fault.get("victim_run", fault["run"])
            return Injection(fault["kind"], in_same_run if same else NEXT_RUN, float(event["at"]) - float(fault["at"]))
    return Injection(fault["kind"], NOTHING_LEFT, None)
