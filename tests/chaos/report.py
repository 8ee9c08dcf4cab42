"""Writes what the faults did as a page for people: what held, the sums, and a table for each part of the world."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.chaos.account import Injection
from tests.chaos.results import Result

# Heading, what was done, and the families of trials that belong there.
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Workers",
        "The processes that do the work are killed at random and at the worst moments, crash in native code, run out "
        "of memory, hang or never start. A *classify*, *deblur* or *media* actor is one such process; a *segment* is "
        "the part of a video that it works on.",
        (
            "actors killed from outside", "actors killed at chosen points", "crashes", "poison", "hangs",
            "actors that never start", "GPU memory",
        ),
    ),
    (
        "The run itself",
        "The driver, which is the command or the scheduled flow, is killed, interrupted or put to sleep, alone or with "
        "all it has started; so is what serves it on its machine.",
        (
            "drivers ended", "drivers killed at chosen points", "servants killed", "suspended, and two at once",
        ),
    ),
    (
        "Machines of a cluster",
        "A Ray cluster of several nodes, each a group of processes of its own, of which some die while they work.",
        ("nodes lost", "a cluster's head lost", "the driver's own node lost", "one of four nodes"),
    ),
    (
        "Prefect",
        "A server and a worker run the deployments of `prefect.yaml`; one of these, or the flow itself, is killed.",
        ("Prefect's worker and server",),
    ),
    (
        "S3",
        "A real S3 server behind a proxy that answers wrongly, late or not at all; killed uploads; writers that meet.",
        ("store faults", "uploads killed", "writers of one key"),
    ),
    (
        "Disks",
        "Small disks in the place of the destination and of `TMPDIR` fill up or become read-only; single writes fail.",
        ("full disks", "read-only destinations", "failing disks"),
    ),
    (
        "Sources and clocks",
        "Videos change, grow or go away while they are read; what the clock says jumps by an hour up to ten years.",
        ("changing files", "clocks"),
    ),
)  # fmt: skip

_INTRODUCTION = """# Reliability

What becomes of an archive when things fail while it is restored: faults were put into real runs on purpose, and each
run was judged afterwards. `make chaos` does it and writes this page from what it found; nothing here is edited by hand.
"""

_JUDGED = """## How it is judged

Each trial runs the program over a small archive whose undisturbed result is known: videos with blurred stretches, one
without, and one that is broken and fails each time. Faults come from outside (signals, disks, a proxy before a real S3
server, a cluster whose nodes die), or at a chosen point of the program's own processes. When a run with faults has
ended, a judge looks. Then one plain run follows, and the judge looks again. A trial holds if

- every published file has, from the first moment on, the hash of the undisturbed run's, and the record beside it tells
  of that very file: nothing half is ever visible. (Only what smaller tiles restored may differ in its last bit; that
  is proved by `restore-archive verify`.)
- a video that is not published has failed with stage and reason, in the report and in `videos.parquet`; the counts of
  report, records and manifests agree; no run ends with a traceback.
- after the plain run everything that can be published is, and nothing is left over: no process, no temporary file, no
  lease, no upload in parts.
- no call that had come to its end is carried out again.

In the tables, *recovered after* is the time until what was hit was done after all: the call, the object, the request;
where the run ended with it, until the next run had done that, its start included. *In flight* are the calls (a segment
of a video to classify, deblur or assemble; a video to plan or publish) that were on their way in what was hit; *redone*
those of them of which nothing was there yet, so that they were carried out anew.
"""

_HEAD = ("fault", "times", "what happened", "recovered after, median", "most", "in flight", "redone")
_LINE = "| --- | ---: | --- | ---: | ---: | ---: | ---: |"


def page(results: Sequence[Result], run: str, cores: int, planned: int) -> str:
    """All of it. run: the word that decided what was drawn; cores: of the machine; planned: trials that there are."""
    wrong = [result for result in results if result.wrong]
    lines = [
        _INTRODUCTION,
        *_sums(results, wrong, run, cores, planned),
        *_wrong(wrong),
        *_work_redone(results),
        *_one_of_four(results),
        _JUDGED,
    ]
    for heading, text, families in SECTIONS:
        found = [result for result in results if family(result.trial) in families]
        if found:
            lines += [f"## {heading}\n", f"{text}\n", *_table(found)]
    return "\n".join(lines).rstrip() + "\n"


def family(trial: str) -> str:
    """A trial's name without its number."""
    return trial.rpartition(" ")[0]


def _injections(results: Iterable[Result]) -> list[Injection]:
    return [injection for result in results for injection in result.injections]


def _sums(results: Sequence[Result], wrong: Sequence[Result], run: str, cores: int, planned: int) -> list[str]:
    injections = _injections(results)
    minutes = sum(result.seconds for result in results) / 60
    lines = [
        f"**{len(injections)} faults of {len({each.kind for each in injections})} kinds** in {len(results)} of "
        f"{planned} trials, {minutes:.0f} minutes on a machine with {cores} cores (`make chaos RUN={run}`): "
        f"{_held(len(wrong))}\n",
        "| where | kinds | faults | held | recovered after, median | most |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for heading, _, families in SECTIONS:
        found = _injections(result for result in results if family(result.trial) in families)
        if found:
            kinds, held = len({each.kind for each in found}), sum(not each.wrong for each in found)
            median, most = _times(found)
            anchor = heading.lower().replace(" ", "-")
            cells = (f"[{heading}](#{anchor})", str(kinds), str(len(found)), str(held), median, most)
            lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _held(wrong: int) -> str:
    return "all of them held." if not wrong else f"**{wrong} of the trials did not hold**, see below."


def _table(results: Sequence[Result]) -> list[str]:
    by_kind: defaultdict[str, list[Injection]] = defaultdict(list)
    for injection in _injections(results):
        by_kind[injection.kind].append(injection)
    return ["| " + " | ".join(_HEAD) + " |", _LINE, *(_row(kind, by_kind[kind]) for kind in sorted(by_kind)), ""]


def _row(kind: str, found: Sequence[Injection]) -> str:
    outcomes = Counter(f"**{each.wrong}**" if each.wrong else each.outcome for each in found)
    told = "; ".join(outcome if len(outcomes) == 1 else f"{outcome} ({n})" for outcome, n in outcomes.most_common())
    flight, redone = sum(each.in_flight for each in found), sum(each.redone for each in found)
    counted = (str(flight), str(redone)) if flight else ("", "")
    shown, told = kind.removeprefix("S3: ").removeprefix("disk: "), told.replace("|", "\\|").replace("\n", " ")
    cells = (shown, str(len(found)), told, *_times(found), *counted)
    return "| " + " | ".join(cells) + " |"


def _times(found: Sequence[Injection]) -> tuple[str, str]:
    seconds = [each.seconds for each in found if each.seconds is not None]
    return (_seconds(statistics.median(seconds)), _seconds(max(seconds))) if seconds else ("", "")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _work_redone(results: Sequence[Result]) -> list[str]:
    killed = [each for each in _injections(results) if each.in_flight]
    flight, redone = sum(each.in_flight for each in killed), sum(each.redone for each in killed)
    return [
        "## Work done twice\n",
        f"{len(killed)} faults hit {flight} calls that were in flight. {redone} of them were carried out anew; of the "
        "others the output was there already, or they went on. No call that had ended was carried out a second time.\n",
    ]


def _one_of_four(results: Sequence[Result]) -> list[str]:
    measured = [result.facts for result in results if result.facts]
    if not measured:
        return []
    lines = ["## Losing one of four nodes\n"]
    lines.append(
        "A cluster of four nodes on one machine, on which every deblur call takes eight seconds more, so that nodes, "
        "not the cores they share, decide. One is killed amid the work. Its share is a third of the time that was "
        "left; ten seconds more are allowed.\n"
    )
    names = list(dict.fromkeys(name for facts in measured for name in facts))
    lines += ["| " + " | ".join(names) + " |", "| " + " | ".join(["---:"] * len(names)) + " |"]
    lines += ["| " + " | ".join(_seconds(facts[name]) for name in names) + " |" for facts in measured]
    return [*lines, ""]


def _wrong(results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    told = [f"- {result.trial}: {' '.join(each.split())}" for result in results for each in result.wrong]
    return ["## What did not hold\n", *told, ""]
