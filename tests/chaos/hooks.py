"""Puts the points into the program's modules as they are imported, in every process of a run; nothing else knows them.

Points: `start` of a stage in its actor; `begin` and `end` of a call; `put` before and `kept` after an object is
written; `written`, when its file is filled and has no name yet; `frame`, `join` and `part` in the middle of decoding,
of putting a film together, of an upload in parts; `network` before each pass. Each call is told as an event, too.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.chaos.acts import ACTS, KILLS_RUN
from tests.chaos.tickets import RUN, VARIABLE, open_tickets, tell, torn_off

_KINDS = (
    (r"_restore/manifests/.+", "manifest"),
    (r"_restore/videos\.parquet", "records"),
    (r"_restore/runs/.+", "summary"),
    (r"_restore/lease/.+", "lease"),
    (r".*index-\d+\.parquet", "index"),
    (r".*/labels-.+", "labels"),
    (r".*/frames-\w+/.+\.mkv", "overlay"),
    (r".*/frames-\w+/.+\.parquet", "outcome"),
    (r".*/(?:part|gops-2)-\w+/.+", "part"),
    (r".*\.restoration\.json", "record"),
    (r".*", "video"),
)
_OF_DRIVER = ("records", "summary", "lease")
_passed: Counter[str] = Counter()
_call: dict[str, Any] = {}
"""What this process has to do now"""


def kind_of(key: str) -> str:
    """What an object is, by its key in a destination or a work store."""
    return next(kind for pattern, kind in _KINDS if re.fullmatch(pattern, key))


def reach(point: str, **facts: Any) -> None:
    """Called at a point: whoever's ticket fits happens now."""
    folder = Path(os.environ[VARIABLE])
    for ticket in open_tickets(folder):
        if ticket.point == point and all(facts.get(name) == value for name, value in ticket.match.items()):
            _passed[ticket.name] += 1
            if _passed[ticket.name] == ticket.nth and torn_off(folder, ticket):
                whole = {"victim_run": os.environ[RUN]} if ticket.act in KILLS_RUN else {}
                tell(folder, "fault", ticket=ticket.name, kind=ticket.kind, **whole, **facts)
                ACTS[ticket.act](ticket.argument)


def remember(call: dict[str, Any]) -> None:
    """What this process has to do now. A function of this module: Ray carries the actor's own by value, with a copy of
    what they see here."""
    _call.clear()
    _call.update(call)


def install() -> None:
    """Watches imports."""
    sys.meta_path.insert(0, _Watching())


class _Watching(MetaPathFinder):
    def __init__(self) -> None:
        self._busy: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _HOOKS or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy.discard(name)
        if spec is None or spec.loader is None:
            return spec
        usual = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            usual(module)
            _HOOKS[name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _actors(module: Any) -> None:
    run_call, build_stage = module.run_call, module.build_stage

    def told(stage: Any, task: Any) -> Any:
        facts = _of_task(stage, task)
        folder = Path(os.environ[VARIABLE])
        remember(facts)
        tell(folder, "begin", **facts)
        try:
            reach("begin", **facts)
            time.sleep(_pause(facts["stage"]))
            result, cost = run_call(stage, task)
        except BaseException as error:
            tell(folder, "raised", error=f"{type(error).__name__}: {error}"[:300], **facts)
            raise
        nothing = getattr(result, "size_bytes", None) == 0  # a segment of which nothing is encoded
        tell(folder, "done", reused=cost.reused or nothing, **facts)
        reach("end", **facts)
        return result, cost

    def built(name: str, *arguments: Any) -> Any:
        reach("start", stage=name)
        stage = build_stage(name, *arguments)
        tell(Path(os.environ[VARIABLE]), "built", stage=name)
        return stage

    module.run_call, module.build_stage = told, built


def _pause(stage: str) -> float:
    """CHAOS_PAUSE: seconds that each call of a stage lasts longer, as `deblur=2`."""
    name, _, seconds = os.environ.get("CHAOS_PAUSE", "").partition("=")
    return float(seconds) if name == stage else 0.0


def _of_task(stage: Any, task: Any) -> dict[str, Any]:
    """version: of the video, and of what is asked for where a run does all again."""
    name, salt = type(stage).__name__.removesuffix("Stage").lower(), stage._job.salt
    if hasattr(task, "first_frame"):
        frames = {"first": task.first_frame, "stop": task.stop_frame}
        return {"stage": name, "video": task.video.video, "version": f"{task.video.etag} {salt}", **frames}
    return {"stage": name, "video": task.video, "version": f"{task.etag} {salt}"}


def _of_call() -> dict[str, Any]:
    """Of the call of this process, in which the point is."""
    return {"of": _call["stage"], **_call} if _call else {}


def _folder_store(module: Any) -> None:
    store = module.FolderObjectStore
    name, put, put_file = store._name, store.put, store.put_file

    def named(self: Any, temporary: Path, path: Path, publish: Any) -> None:
        reach("written", object=kind_of(_key(self, path)), **_of_call())
        name(self, temporary, path, publish)

    store._name = named
    store.put, store.put_file = _around_put(put), _around_put(put_file)
    store.put_if_absent = _around_put(store.put_if_absent)


def _key(store: Any, path: Path) -> str:
    return path.relative_to(store.root).as_posix()


def _around_put(put: Callable[..., Any]) -> Callable[..., Any]:
    def around(self: Any, key: str, content: Any) -> Any:
        reach("put", object=kind_of(key), **_of_call())
        info = put(self, key, content)
        if kind_of(key) in _OF_DRIVER:
            tell(Path(os.environ[VARIABLE]), "kept", object=kind_of(key))
        reach("kept", object=kind_of(key), **_of_call())
        return info

    return around


def _s3_store(module: Any) -> None:
    store = module.S3ObjectStore
    store.put, store.put_file = _around_put(store.put), _around_put(store.put_file)
    store.put_if_absent = _around_put(store.put_if_absent)
    begin = store.__init__

    def begun(self: Any, location: Any, sizes: Any = None) -> None:
        # Small clips go in parts, too; a part has at least 5 MiB.
        begin(self, location, sizes or module.TransferSizes(5 << 20, 5 << 20))

    store.__init__ = begun


def _uploads(module: Any) -> None:
    usual = module.UploadPartTask._main

    def sent(self: Any, *arguments: Any, **named: Any) -> Any:
        result = usual(self, *arguments, **named)
        reach("part", **_of_call())
        return result

    module.UploadPartTask._main = sent


def _decoding(module: Any) -> None:
    usual = module.decode_frames

    def decoded(*arguments: Any, **named: Any) -> Iterator[Any]:
        for entry in usual(*arguments, **named):
            reach("frame", **_of_call())
            yield entry

    module.decode_frames = decoded


def _rebuilding(module: Any) -> None:
    write = module._write

    def written(*arguments: Any) -> None:
        write(*arguments)
        reach("join", **_of_call())

    module._write = written


def _tiling(module: Any) -> None:
    usual = module.run_padded

    def passed(*arguments: Any) -> Any:
        reach("network", **_of_call())
        return usual(*arguments)

    module.run_padded = passed


def _s3_client(module: Any) -> None:
    """A server that does not answer is given up after seconds, not a minute: else nothing would be seen here."""
    module._READ_SECONDS = float(os.environ.get("CHAOS_READ_SECONDS", module._READ_SECONDS))


def _deadlines(module: Any) -> None:
    """CHAOS_DEADLINES: seconds for calls of single videos and `start` of an actor, as `deblur a.mp4=20,start=40`."""
    short = dict(entry.split("=") for entry in os.environ.get("CHAOS_DEADLINES", "").split(",") if entry)
    usual_of, usual_start = module.Deadlines.of, module.Deadlines.start

    def of(self: Any, call: Any, state: Any, gmac_256: float = 0.0) -> float:
        seconds = short.get(f"{call.stage} {state.task.video}")
        return float(seconds) if seconds else float(usual_of(self, call, state, gmac_256))

    module.Deadlines.of = of
    if "start" in short:
        module.Deadlines.start = property(lambda self: float(short["start"]))
    else:
        module.Deadlines.start = usual_start


_HOOKS: dict[str, Callable[[Any], None]] = {
    "workers.actors": _actors,
    "workers.deadlines": _deadlines,
    "deblur_core.storage.folder": _folder_store,
    "deblur_core.storage.s3": _s3_store,
    "deblur_core.storage.s3_client": _s3_client,
    "deblur_core.video.decode": _decoding,
    "deblur_core.video.rebuild": _rebuilding,
    "deblur_core.models.tiling": _tiling,
    "s3transfer.upload": _uploads,
}
