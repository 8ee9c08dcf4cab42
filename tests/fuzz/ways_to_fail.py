"""Readers that fail in every way that the fuzzer has to notice. They import little, so its tests are quick."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from deblur_core.errors import StorageError


def _raise(data: bytes, name: str) -> None:
    raise KeyError(name)


def _refuse(data: bytes, name: str) -> None:
    raise StorageError(f"{name} is refused")


def _crash(data: bytes, name: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang(data: bytes, name: str) -> None:
    while True:
        pass


def _ask_for_memory(data: bytes, name: str) -> None:
    bytearray(64 << 30)


WAYS_TO_FAIL: dict[str, tuple[Callable[[bytes, str], None], ...]] = {
    "a raw error": (_raise,),
    "a refusal": (_refuse,),
    "a crash": (_crash,),
    "a hang": (_hang,),
    "a bomb": (_ask_for_memory,),
}
"""By kind of case, as `targets.TARGETS`"""
