"""A cluster's head that is away for a moment, or for good."""

import socket

from flows.cluster_head import SILENT_SECONDS, ClusterHead


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
