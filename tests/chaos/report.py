"""Writes what the faults did as a page for people."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.chaos.account import Injection
from tests.chaos.results import Result

_INTRODUCTION = """# Reliability

What becomes of an archive when things fail while it is restored. This page is written by `make chaos` from what it
found; it is not edited by hand.

Each trial runs the real program, over and over, on a small archive whose undisturbed result is known: videos with
blurred stretches, some without, one that is broken and fails each time. Faults are put in from outside (signals, disks,
a proxy in front of a real S3 server, a cluster whose nodes die, Prefect's worker and server), or at a chosen point of
the program's own processes. After the faults a judge looks, then one plain run follows, then the judge looks again:

- Every published file has the hash of the undisturbed run's, from the first moment on; nothing half is ever there; the
  record beside it tells of that very file.
- A video that is not published has failed, with stage and reason, in the report and in `videos.parquet`; the counts of
  report, records and manifests agree; no run ends with a traceback.
- After the plain run everything that can be published is, and nothing is left: no process, no temporary file, no lease,
  no upload in parts.
- No call that had come to its end is carried out again.

*Time to recover*: until what was hit was done after all: the call, or the request; where the run ended with it, until
the run after it had done that, its start included. *In flight*: calls that were on their way in what was killed;
*redone*: those of them that were begun again and did not find their output there.
"""


def page(results: Sequence[Result], run: str) -> str:
    """All of it. run: the word that decided what was drawn."""
    injections = [injection for result in results for injection in result.injections]
    by_kind: defaultdict[str, list[Injection]] = defaultdict(list)
    for injection in injections:
        by_kind[injection.kind].append(injection)
    wrong = [result for result in results if result.wrong]
    minutes = sum(result.seconds for result in results) / 60
    lines = [
        _INTRODUCTION,
        f"{len(injections)} faults of {len(by_kind)} kinds in {len(results)} trials, in {minutes:.0f} minutes "
        f"(`make chaos RUN={run}`): {_held(len(wrong))}\n",
        "| fault | times | what happened | time to recover, median | most | in flight | redone |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
        *(_row(kind, by_kind[kind]) for kind in sorted(by_kind)),
        "",
        *_work_redone(injections),
        *_one_of_four(results),
        *_wrong(wrong),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _held(wrong: int) -> str:
    return "all of them held." if not wrong else f"**{wrong} trials did not hold**, see the end of this page."


def _row(kind: str, found: Sequence[Injection]) -> str:
    outcomes = Counter(f"**{each.wrong}**" if each.wrong else each.outcome for each in found)
    told = "; ".join(outcome if len(outcomes) == 1 else f"{outcome} ({n})" for outcome, n in outcomes.most_common())
    seconds = [each.seconds for each in found if each.seconds is not None]
    median, most = (_seconds(statistics.median(seconds)), _seconds(max(seconds))) if seconds else ("", "")
    flight, redone = sum(each.in_flight for each in found), sum(each.redone for each in found)
    counted = (str(flight), str(redone)) if flight else ("", "")
    cells = (kind, str(len(found)), told.replace("|", "\\|").replace("\n", " "), median, most, *counted)
    return "| " + " | ".join(cells) + " |"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _work_redone(injections: Sequence[Injection]) -> list[str]:
    killed = [each for each in injections if each.in_flight]
    flight, redone = sum(each.in_flight for each in killed), sum(each.redone for each in killed)
    return [
        "## Work done twice\n",
        f"{len(killed)} faults hit {flight} calls that were in flight (segments of classify, deblur and assemble; "
        f"videos of plan and publish). {redone} of them were done again; the others were done when they were hit. No "
        "call that had ended was carried out a second time.\n",
    ]


def _one_of_four(results: Sequence[Result]) -> list[str]:
    measured = [result.facts for result in results if result.facts]
    if not measured:
        return []
    lines = ["## Losing one of four nodes\n"]
    lines.append(
        "A cluster of four nodes on one machine, on which every deblur call takes four seconds more, so that nodes, "
        "not the cores they share, decide. One is killed amid the work. Its share is a third of the time that was "
        "left; ten seconds more are allowed.\n"
    )
    names = list(dict.fromkeys(name for facts in measured for name in facts))
    lines += ["| " + " | ".join([*names, "it cost"]) + " |", "| " + " | ".join(["---:"] * (len(names) + 1)) + " |"]
    for facts in measured:
        cost = facts["seconds with one of them lost"] - facts["seconds with four nodes"]
        lines.append("| " + " | ".join(_seconds(facts[name]) for name in names) + f" | {_seconds(cost)} |")
    return [*lines, ""]


def _wrong(results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    told = [f"- {result.trial}: {' '.join(each.split())}" for result in results for each in result.wrong]
    return ["## What did not hold\n", *told]
