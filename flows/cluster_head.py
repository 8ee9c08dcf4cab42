"""Whether the head of a Ray cluster still answers, as a driver on one of its machines sees it. Knows no Ray."""

import socket
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
