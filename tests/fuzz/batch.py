"""One process that runs cases and tells of each before it begins and when it is over: `python -m tests.fuzz.batch`.

It may be killed by what it reads; whoever started it knows from its last line which case that was. It is given its
cases as JSON lines on stdin, and its memory as its only argument, in bytes beyond what it needs when it starts.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from deblur_core.errors import RestoreArchiveError
from tests.fuzz.cases import Case, bytes_of
from tests.fuzz.driver import BEYOND_MEMORY
from tests.fuzz.ways_to_fail import WAYS_TO_FAIL

Reader = Callable[[bytes, str], None]


def main() -> None:
    faulthandler.enable()
    cases = [Case(**json.loads(line)) for line in sys.stdin]
    if all(case.kind in WAYS_TO_FAIL for case in cases):
        readers = WAYS_TO_FAIL
    else:
        from tests.fuzz.targets import TARGETS

        readers = TARGETS
    limit = _address_space() + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for case in cases:
        _tell("begin", case.number)
        _tell("end", case.number, _outcome(case, readers[case.kind]))


def _outcome(case: Case, readers: Sequence[Reader]) -> str:
    """`ok`, `refused: …` with the program's own words, or `finding: …`."""
    reader = readers[case.number % len(readers)]
    try:
        reader(bytes_of(case), Path(case.seed).name)
    except RestoreArchiveError as error:
        text = str(error)
        if not text or len(text.splitlines()) != 1:
            return f"finding: {reader.__name__}: an error of {len(text.splitlines())} lines: {text!r}"
        if "Cannot allocate memory" in text or "not enough memory" in text:
            return f"finding: {BEYOND_MEMORY}: {text}"
        return f"refused: {type(error).__name__}: {text}"
    except Exception:  # noqa: BLE001 - which is what is looked for
        return f"finding: {reader.__name__}: {traceback.format_exc()}"
    finally:
        gc.collect()
    return "ok"


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _tell(word: str, number: int, outcome: str = "") -> None:
    sys.stdout.write(json.dumps([word, number, outcome]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
