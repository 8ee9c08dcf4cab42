"""A Ray cluster of a head and two nodes with two GPUs each, on which actors and a node die; leaves what came of it.

Run as a program by test_cluster.py: Ray reads its token once, when it is first imported. The GPUs are GPUs in name
only, so networks run on cores; everything else is real. What dies and when is arranged by a hook that Ray runs in each
worker before the first actor (`worker_process_setup_hook`), not by the program under test:

- poison.mp4 ends its actor each time it is deblurred.
- unlucky.mp4 ends its actor twice; the third time it waits, until this program kills the node under it.
- stuck.mp4 never comes back: a loop in native code that holds Python's lock, so that nothing in the process can end it.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.quiet import prepare_environment, prepare_local_ray

prepare_environment(embedded_server=False)
prepare_local_ray()
# How long a call waits to hear that its actor is dead rather than out of reach: on a busy machine a second is not much.
os.environ["RAY_timeout_ms_task_wait_for_death_info"] = "10000"  # noqa: SIM112

import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from deblur_core.storage import open_store  # noqa: E402
from workers.deadlines import Deadlines  # noqa: E402
from workers.job import Job, RestoreOptions, VideoTask, new_run_id  # noqa: E402
from workers.pipeline import Pipeline  # noqa: E402

WAIT_SECONDS = 300.0
_STORE_BYTES = 80 << 20


class ShortForOne(Deadlines):
    """The usual deadlines, but for what is known never to end."""

    def of(self, call: Any, state: Any, gmac_256: float = 0.0) -> float:
        stuck = call.stage == "deblur" and state.task.video == "stuck.mp4"
        return 2.0 if stuck else super().of(call, state, gmac_256)


def let_some_clips_kill() -> None:
    """Runs in each worker: wraps the deblur stage, so that two clips do to their actor what is said above."""
    import os
    import re
    import time
    from pathlib import Path

    import ray

    import workers.actors

    build_stage = workers.actors.build_stage
    attempts = Path(os.environ["ATTEMPTS"])

    class Deadly:
        def __init__(self, stage: Any) -> None:
            self._stage = stage

        def run(self, task: Any) -> Any:
            name = task.video.video
            if name not in ("poison.mp4", "unlucky.mp4", "stuck.mp4"):
                return self._stage.run(task)
            with (attempts / name).open("a") as file:
                file.write(ray.get_runtime_context().get_node_id() + "\n")
            if name == "stuck.mp4":
                (attempts / f"stuck-{os.getpid()}").touch()
                re.match(r"(a+)+$", "a" * 64 + "b")
            attempt = len((attempts / name).read_text().split())
            if name == "poison.mp4" or attempt <= 2:
                os._exit(1)
            if attempt == 3:
                time.sleep(3600)
            return self._stage.run(task)

    def deadly(name: str, *arguments: Any) -> Any:
        stage = build_stage(name, *arguments)
        return Deadly(stage) if name == "deblur" else stage

    workers.actors.build_stage = deadly  # type: ignore[assignment]


def main(source: Path, destination: Path, attempts: Path) -> dict[str, Any]:
    """Restores the clips in `source`; late.mp4 is submitted after the node is lost. Returns what the tests look at."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "num_gpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False},
    )
    for _ in range(2):
        cluster.add_node(num_cpus=1, num_gpus=2, object_store_memory=_STORE_BYTES, wait=False)
    cluster.wait_for_nodes()
    environment = {"ATTEMPTS": str(attempts), "PYTHONPATH": str(Path.cwd())}
    hook = {"worker_process_setup_hook": let_some_clips_kill, "env_vars": environment}
    ray.init(address=cluster.address, log_to_driver=False, runtime_env=hook)
    options = RestoreOptions(threshold=0.0)
    work = destination / "_restore" / "work"
    job = Job(new_run_id(), str(source), str(destination), str(work), options)
    pipeline = Pipeline(job, deadlines=ShortForOne())
    try:
        pipeline.start()
        return _lose_a_node(pipeline, cluster, source, attempts)
    finally:
        pipeline.stop()
        ray.shutdown()
        cluster.shutdown()


def _lose_a_node(pipeline: Pipeline, cluster: Cluster, source: Path, attempts: Path) -> dict[str, Any]:
    listed = open_store(str(source)).list()
    videos = {info.key: VideoTask(info.key, info.etag, info.size_bytes) for info in listed}
    trusted, stranger = (
        _ask_for_health(cluster.address, RAY_AUTH_TOKEN=token) for token in (os.environ["RAY_AUTH_TOKEN"], "0" * 64)
    )
    futures = pipeline.submit([videos["poison.mp4"], videos["calm.mp4"], videos["stuck.mp4"]])
    for future in futures:
        future.result(timeout=WAIT_SECONDS)
    hung = [path.name.removeprefix("stuck-") for path in attempts.glob("stuck-*")]
    _wait_for(lambda: not any(Path("/proc", pid).exists() for pid in hung))
    futures += pipeline.submit([videos["unlucky.mp4"]])
    doomed = _wait_for(lambda: _nodes(attempts / "unlucky.mp4")[2:])[0]
    before = _wait_for(lambda: actors if len((actors := pipeline.actors())["deblur"]) == 3 else None)
    cluster.remove_node(next(node for node in cluster.worker_nodes if node.node_id == doomed), allow_graceful=False)
    futures += pipeline.submit([videos["late.mp4"]])
    records = [future.result(timeout=WAIT_SECONDS).record for future in futures]
    return {
        "records": {record.video: asdict(record) for record in records},
        "attempts": {name: len(_nodes(attempts / name)) for name in ("poison.mp4", "unlucky.mp4", "stuck.mp4")},
        "hung": hung,
        "doomed": doomed,
        "before": {pool: [asdict(report) for report in reports] for pool, reports in before.items()},
        "health": {"token": trusted.wait(WAIT_SECONDS), "another token": stranger.wait(WAIT_SECONDS)},
    }


def _ask_for_health(address: str, **environment: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=nowhere, stderr=nowhere)


def _nodes(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _wait_for(look: Any) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.1)
    raise TimeoutError("what should have happened did not")


if __name__ == "__main__":
    facts = main(*(Path(argument) for argument in sys.argv[1:4]))
    Path(sys.argv[4]).write_text(json.dumps(facts))
