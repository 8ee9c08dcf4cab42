"""What a call freed goes back, also where the C library would have kept it."""

import ctypes
import sys
import threading
from pathlib import Path

import pytest

from workers import memory
from workers.memory import give_back_freed_memory

_BLOCK_BYTES = 16 << 10
_BLOCKS = 2048
BLOCKS_BYTES = _BLOCKS * _BLOCK_BYTES
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

needs_malloc_trim = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "malloc_trim")),
    reason="this C library has no malloc_trim",
)


@needs_malloc_trim
def test_freed_blocks_below_one_in_use_go_back() -> None:
    library = _library()
    blocks = _written_blocks(library)
    last = library.malloc(_BLOCK_BYTES)
    for block in blocks:
        library.free(block)
    kept = _resident_bytes()
    give_back_freed_memory()
    assert kept - _resident_bytes() > BLOCKS_BYTES // 2
    library.free(last)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    memory._malloc_trim.cache_clear()
    try:
        give_back_freed_memory()
    finally:
        memory._malloc_trim.cache_clear()


def bytes_kept_of_a_thread() -> int:
    """Of BLOCKS_BYTES that a thread took and freed, in a process whose thresholds are as high as they can rise by
    themselves. Leaves them there."""
    before = _resident_bytes()
    library = _library()
    library.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    library.mallopt(_M_TRIM_THRESHOLD, 64 << 20)
    thread = threading.Thread(target=lambda: [library.free(block) for block in _written_blocks(library)])
    thread.start()
    thread.join()
    give_back_freed_memory()
    return _resident_bytes() - before


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    return library


def _written_blocks(library: ctypes.CDLL) -> list[int]:
    blocks = [library.malloc(_BLOCK_BYTES) for _ in range(_BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, _BLOCK_BYTES)
    return blocks


def _resident_bytes() -> int:
    with Path("/proc/self/status").open() as lines:
        return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) << 10
