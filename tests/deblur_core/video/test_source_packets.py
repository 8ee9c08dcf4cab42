"""Packets and frames of an open file: also where they are left before their end, nothing of PyAV's stays behind."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from deblur_core.video.source import each_frame, each_packet


class Packets:
    """What PyAV's `demux` gives: must be closed by whoever leaves it."""

    def __init__(self) -> None:
        self.closed = False

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b"))

    def close(self) -> None:
        self.closed = True


def test_packets_that_are_left_early_are_closed() -> None:
    packets = Packets()
    container: Any = SimpleNamespace(demux=lambda *streams: packets)
    for packet in each_packet(container):
        assert packet == "a"  # type: ignore[comparison-overlap]
        break
    assert packets.closed


def test_frames_that_are_left_early_close_their_packets() -> None:
    packets = Packets()
    container: Any = SimpleNamespace(demux=lambda *streams: packets)
    stream: Any = SimpleNamespace(decode=lambda packet: [f"{packet}{number}" for number in range(2)])
    frames = each_frame(container, stream)
    assert [next(frames), next(frames), next(frames)] == ["a0", "a1", "b0"]  # type: ignore[comparison-overlap]
    del frames
    assert packets.closed
