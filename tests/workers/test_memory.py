"""What a call freed goes back, also where the C library would have kept it."""

import ctypes
import sys
from pathlib import Path

import pytest

from workers import memory
from workers.memory import give_back_freed_memory

BLOCKS, BLOCK_BYTES = 8192, 16 << 10


def resident_bytes() -> int:
    with Path("/proc/self/status").open() as lines:
        return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) << 10


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from Linux's /proc")
def test_freed_blocks_below_one_in_use_go_back() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(BLOCK_BYTES) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK_BYTES)
    last = library.malloc(BLOCK_BYTES)
    for block in blocks:
        library.free(block)
    kept = resident_bytes()
    give_back_freed_memory()
    assert kept - resident_bytes() > BLOCKS * BLOCK_BYTES // 2
    library.free(last)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    memory._malloc_trim.cache_clear()
    try:
        give_back_freed_memory()
    finally:
        memory._malloc_trim.cache_clear()
