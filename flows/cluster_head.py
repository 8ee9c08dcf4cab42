"""Whether a Ray cluster that a driver has joined is still there: its head, and what serves it on the driver's machine.

Knows no Ray: an address, and a socket.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Callable

from deblur_core.errors import WorkersLostError

SILENT_SECONDS = 45.0
"""For so long a head may be away, as one that is started again. After 60 s Ray's native code ends every process that
has joined it, without a word of this program's."""
_ANSWER_SECONDS = 5.0


class ClusterHead:
    """Asked again and again by one thread. address: host:port of its control store (gcs_server)."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        host, _, port = address.rpartition(":")
        self._place, self._clock = (host.strip("[]"), int(port)), clock
        self._answered = clock()

    def gone(self) -> WorkersLostError | None:
        """What to tell of it once it has been silent for too long."""
        host, port = self._place
        try:
            socket.create_connection(self._place, _ANSWER_SECONDS).close()
        except OSError as error:
            if self._clock() - self._answered < SILENT_SECONDS:
                return None
            return WorkersLostError(
                f"Ray's cluster at {host}:{port} has not answered for {SILENT_SECONDS:.0f} s ({error}): what was done "
                "is kept, run again to continue"
            )
        self._answered = self._clock()
        return None


class OwnScheduler:
    """The process behind a Unix socket: the scheduler (raylet) of the driver's machine, without which every question of
    the driver's would wait for ever."""

    def __init__(self, path: str) -> None:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(path)
            peer = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process, _, _ = struct.unpack("3i", peer)
        self._process = os.pidfd_open(process) if process else None  # 0: in a container of its own

    def gone(self) -> WorkersLostError | None:
        """What to tell once it has ended."""
        if self._process is None or not select.select([self._process], [], [], 0)[0]:
            return None
        return WorkersLostError(
            "Ray's scheduler (raylet) on this machine has ended under the run: what was done is kept, run again to "
            "continue"
        )

    def close(self) -> None:
        """It is not watched any more."""
        if self._process is not None:
            os.close(self._process)
            self._process = None
