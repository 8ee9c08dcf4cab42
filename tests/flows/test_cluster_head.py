"""A cluster's head that is away for a moment, or for good; and a driver's own scheduler that ends."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from flows.cluster_head import SILENT_SECONDS, ClusterHead, OwnScheduler

LISTENING = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(); input()"


def test_a_head_that_answers_is_there_and_one_that_is_silent_for_long_is_gone() -> None:
    now = [0.0]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        head = ClusterHead(f"127.0.0.1:{port}", lambda: now[0])
        now[0] = 10 * SILENT_SECONDS
        assert head.gone() is None
    now[0] += SILENT_SECONDS - 1
    assert head.gone() is None
    with socket.create_server(("127.0.0.1", port)):  # it was started again
        assert head.gone() is None
    now[0] += SILENT_SECONDS - 1
    assert head.gone() is None
    now[0] += 1
    assert f"at 127.0.0.1:{port} has not answered for 45 s" in str(head.gone())


def test_a_scheduler_that_has_ended_is_told_even_before_its_parent_knows(tmp_path: Path) -> None:
    place = str(tmp_path / "socket")
    command = [sys.executable, "-c", LISTENING, place]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        scheduler = OwnScheduler(place)
        assert scheduler.gone() is None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        told = scheduler.gone()
        assert "raylet) on this machine has ended" in str(told)
        scheduler.close()
        assert scheduler.gone() is None
