"""Shows a run as it goes: bars by stage on a terminal, a plain line now and then elsewhere. Reads snapshots only."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.inventory import Inventory
from workers.progress import Snapshot, StageProgress

_FRAME_STAGES = ("classify", "deblur", "assemble")
_LINE_EVERY_SECONDS = 15.0


class _Rates:
    """Frames a second of each stage since the start of its work."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def of(self, name: str, stage: StageProgress) -> float:
        now = time.monotonic()
        if stage.frames + stage.queued_frames and name not in self._began:
            self._began[name] = now
        elapsed = now - self._began.get(name, now)
        return stage.frames / elapsed if elapsed > 1.0 else 0.0


def _left(snapshot: Snapshot, rates: dict[str, float]) -> str:
    """Time until what is known now is done: the slowest stage decides."""
    seconds = [
        snapshot.stages[name].queued_frames / rate
        for name, rate in rates.items()
        if rate > 0 and snapshot.stages[name].queued_frames
    ]
    if not seconds:
        return "—"
    minutes, rest = divmod(int(max(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _picture(snapshot: Snapshot, rates: dict[str, float]) -> Group:
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "right", "right"):
        table.add_column(justify=justify)
    for name in _FRAME_STAGES:
        stage = snapshot.stages[name]
        total = stage.frames + stage.queued_frames
        table.add_row(
            Text(name, style="bold"),
            ProgressBar(total=max(total, 1), completed=stage.frames, width=32),
            f"{stage.frames}/{total} frames",
            f"{rates[name]:.1f} frames/s",
            f"{stage.actors} actors",
        )
    failed = f", {snapshot.videos_failed} failed" if snapshot.videos_failed else ""
    line = (
        f"{snapshot.videos_done}/{snapshot.videos_total} videos published{failed}   time left {_left(snapshot, rates)}"
    )
    return Group(table, Text(line, style="dim"))


def _plain(snapshot: Snapshot, rates: dict[str, float]) -> str:
    stages = "  ".join(f"{name} {snapshot.stages[name].frames} ({rates[name]:.1f}/s)" for name in _FRAME_STAGES)
    failed = f" failed {snapshot.videos_failed}" if snapshot.videos_failed else ""
    return f"videos {snapshot.videos_done}/{snapshot.videos_total}{failed}  {stages}  left {_left(snapshot, rates)}"


@contextmanager
def shown(inventory: Inventory, look: Callable[[], Snapshot]) -> Iterator[None]:
    """Draws on stderr while it is open."""
    console = Console(stderr=True)
    over = threading.Event()
    rates = _Rates()

    def measure() -> tuple[Snapshot, dict[str, float]]:
        snapshot = look()
        return snapshot, {name: rates.of(name, snapshot.stages[name]) for name in _FRAME_STAGES}

    def draw_bars() -> None:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while not over.wait(0.5):
                live.update(_picture(*measure()))

    def write_lines() -> None:
        while not over.wait(_LINE_EVERY_SECONDS):
            sys.stderr.write(_plain(*measure()) + "\n")
            sys.stderr.flush()

    thread = threading.Thread(target=draw_bars if console.is_terminal else write_lines, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5.0)
