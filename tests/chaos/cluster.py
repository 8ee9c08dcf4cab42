"""A Ray cluster of processes on this machine whose nodes come and go as told on stdin: `python -m tests.chaos.cluster
NODES GPUS`.

`lose` kills the youngest node, `add` starts one; each is answered by a line. The first line is the cluster's address.
Ends when stdin does.
"""

from __future__ import annotations

import json
import sys

from flows.quiet import prepare_environment, prepare_local_ray

prepare_environment(embedded_server=False)
prepare_local_ray()

from ray.cluster_utils import Cluster  # noqa: E402 - Ray reads its token when it is imported

_STORE_BYTES = 80 << 20


def main(count: int, gpus: int) -> None:
    """gpus: that each node claims to have."""
    # Work has no place on the head, so losing any other node loses work.
    head = {"num_cpus": 0, "num_gpus": 0, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = {"num_cpus": 1, "num_gpus": gpus, "object_store_memory": _STORE_BYTES}
    try:
        nodes = [cluster.add_node(wait=False, **node) for _ in range(count)]
        cluster.wait_for_nodes()
        _say(address=cluster.address)
        for line in sys.stdin:
            if line.strip() == "lose" and nodes:
                cluster.remove_node(nodes.pop(), allow_graceful=False)
            elif line.strip() == "add":
                nodes.append(cluster.add_node(wait=False, **node))
            _say(nodes=len(nodes))
    finally:
        cluster.shutdown()


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
