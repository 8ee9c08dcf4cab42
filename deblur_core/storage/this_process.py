"""Which process of which machine this is, so that another one there can tell whether it still lives.

A process id alone is used again; with the start of the process, the boot of the machine and the namespace of its ids it
is unique. Where the system does not tell (it is not Linux), nothing can be said of a process, and nothing is.
"""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

_DEAD = "ZX"


@dataclass(frozen=True)
class ProcessMark:
    """host: for people; boot, namespace: of the ids, empty where unknown; started: in ticks since the boot."""

    host: str
    process_id: int
    boot: str
    namespace: str
    started: str

    @property
    def place(self) -> str:
        """The boot and the namespace in 12 hexadecimal digits, to be put into a name."""
        return hashlib.sha256(f"{self.boot} {self.namespace}".encode()).hexdigest()[:12]

    def is_dead(self) -> bool:
        """Whether this is sure, seen from here: it ran where this process runs, and is there no more."""
        here = this_process()
        if not self.boot or not self.namespace or (self.boot, self.namespace) != (here.boot, here.namespace):
            return False
        return _started(self.process_id) != self.started

    def is_alive(self) -> bool:
        """Whether this is sure, seen from here."""
        here = this_process()
        known_here = bool(self.boot and self.namespace) and (self.boot, self.namespace) == (here.boot, here.namespace)
        return known_here and _started(self.process_id) == self.started


def this_process() -> ProcessMark:
    """The one that asks."""
    number = os.getpid()
    return ProcessMark(socket.gethostname(), number, _boot(), _namespace(), _started(number))


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(process_id: int) -> str:
    """Empty for one that is gone, or dead and not yet buried by its parent."""
    try:
        # The second field is the program's name in brackets, which may hold anything.
        fields = Path(f"/proc/{process_id}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in _DEAD else fields[19]
