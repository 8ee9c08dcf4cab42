"""The SHA-256 of a file of any size, a block at a time. Knows no store."""

import hashlib
from typing import BinaryIO

_BLOCK_BYTES = 1 << 20


def sha256_of(file: BinaryIO) -> str:
    """Hex digest of the file from its start to its end, whatever position it is at."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
