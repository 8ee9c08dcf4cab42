"""Reads the bits of a NAL unit's payload and makes a payload of bits again. Knows no syntax."""

from __future__ import annotations

import re

_MIMICS_START_CODE = re.compile(rb"\0\0(?=[\0-\3])")


class BitstreamError(ValueError):
    """Bytes that are not what their place says they are."""


def unescaped(payload: bytes) -> bytes:
    """A payload without the bytes that prevent start codes (H.264, 7.4.1)."""
    return payload.replace(b"\0\0\3", b"\0\0")


def escaped(payload: bytes) -> bytes:
    """The reverse of `unescaped`."""
    return _MIMICS_START_CODE.sub(b"\0\0\3", payload)


class Bits:
    """Reads a NAL unit's payload from its first, most significant bit on."""

    def __init__(self, payload: bytes) -> None:
        data = unescaped(payload)
        self._value, self._count = int.from_bytes(data, "big"), 8 * len(data)
        self.at = 0
        """bits read so far"""

    def number(self, count: int) -> int:
        """u(n). Raises BitstreamError beyond the end."""
        self.at += count
        if self.at > self._count:
            raise BitstreamError("a NAL unit is cut short")
        return self._value >> self._count - self.at & (1 << count) - 1

    def unsigned(self) -> int:
        """ue(v), 9.1."""
        zeros = 0
        while not self.number(1):
            zeros += 1
        return (1 << zeros) - 1 + self.number(zeros)

    def signed(self) -> int:
        """se(v), 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
