"""Ray for the time of a run: started again where a busy machine did not start it in time, and what is said if it never
does."""

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray._private import worker

from deblur_core.errors import RestoreArchiveError, UsageError, WorkersLostError
from deblur_core.storage.scratch import scratch_prefix
from flows.cluster import ray_session
from tests.workers.test_memory import BLOCKS_BYTES, needs_malloc_trim

_CALLS = """
import json
from flows.cluster import ray_session
with ray_session("local"):
    import ray, time
    @ray.remote
    class Worker:
        def run(self):
            from tests.workers.test_memory import bytes_kept_of_a_thread
            return bytes_kept_of_a_thread()
    worker = Worker.remote()
    kept = [ray.get(worker.run.remote()) for _ in range(5)]
    time.sleep(3)  # Ray would report once a second
    print(json.dumps({"kept": kept, "remembered": len(ray.timeline())}))
"""


@pytest.fixture(scope="module")
def seen_in_a_local_ray() -> dict[str, Any]:
    """kept: bytes, by each of five calls that freed BLOCKS_BYTES; remembered: calls."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MALLOC_"))}
    said = subprocess.run([sys.executable, "-c", _CALLS], env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    seen: dict[str, Any] = json.loads(said.stdout)
    return seen


def test_a_local_ray_remembers_no_call_so_that_a_night_of_them_does_not_fill_its_control_store(
    seen_in_a_local_ray: dict[str, Any],
) -> None:
    assert seen_in_a_local_ray["remembered"] == 0


@needs_malloc_trim
def test_a_local_ray_s_worker_gives_back_what_its_threads_freed(seen_in_a_local_ray: dict[str, Any]) -> None:
    assert max(seen_in_a_local_ray["kept"]) < BLOCKS_BYTES // 2


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Exception | None]:
    """How each attempt to start Ray ends, in order; None is well."""
    ends: list[Exception | None] = []

    def init(**_: object) -> None:
        end = ends.pop(0)
        if end is not None:
            raise end

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    return ends


def test_a_busy_machine_on_which_ray_does_not_start_in_time_is_asked_again(started: list[Exception | None]) -> None:
    started += [Exception("The current node timed out during startup."), None]
    with ray_session("local"):
        assert started == []


def test_a_machine_on_which_ray_never_starts_is_told_in_one_line(started: list[Exception | None]) -> None:
    started += [Exception("The current node timed out during startup.\nMore.")] * 3
    with (
        pytest.raises(RestoreArchiveError, match=r"does not start on this machine \(The current node.*\.\): it is too"),
        ray_session("local"),
    ):
        pass
    assert started == []


def test_a_cluster_that_refuses_is_not_asked_again(started: list[Exception | None]) -> None:
    started += [ConnectionError("no such cluster"), None]
    with pytest.raises(UsageError, match="cannot be reached"), ray_session("auto"):
        pass
    assert len(started) == 1


def test_what_workers_left_in_tmpdir_goes_with_the_session(
    started: list[Exception | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.append(None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    me = scratch_prefix()
    (tmp_path / f"{me.rpartition('.')[0]}.1-left").mkdir()  # of who had this process's number before
    (tmp_path / f"{me}mine").mkdir()
    with ray_session("local"):
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == [f"{me}mine"]


def test_sigterm_is_heard_as_before(started: list[Exception | None], monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        ctypes.CDLL(None).signal(signal.SIGTERM, 0)  # natively, as Ray does with a handler of its own

    monkeypatch.setattr(ray, "init", init)
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with ray_session("local"):
            caught = int(Path("/proc/self/status").read_text().partition("SigCgt:")[2].split()[0], 16)
        assert caught >> (signal.SIGTERM - 1) & 1
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("kind", ["raylet", "gcs_server"])
def test_a_run_is_told_when_a_process_of_ray_ends_under_it_and_ends_the_others(
    started: list[Exception | None], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    started.append(None)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended: list[dict[str, bool]] = []
    processes = {kind: [SimpleNamespace(process=process)]}
    node = SimpleNamespace(all_processes=processes, kill_all_processes=lambda **how: ended.append(how))
    monkeypatch.setattr(worker, "_global_node", node)
    at_exit = SimpleNamespace(register=lambda _: None, unregister=lambda _: None)
    monkeypatch.setattr("flows.cluster.atexit", at_exit)  # or this process would end at once, too
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("Ray was asked, which is gone"))
    told: queue.Queue[WorkersLostError] = queue.Queue()
    with ray_session("local") as session:
        session.when_lost(told.put)
        assert not session.is_lost
        process.kill()
        assert kind in str(told.get(timeout=60))
        later: list[WorkersLostError] = []
        session.when_lost(later.append)
        assert len(later) == 1
    assert ended == [{"check_alive": False, "allow_graceful": False}]
