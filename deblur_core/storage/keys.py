"""The rules for object keys, the same for every store, so that what one store holds every other can hold.

A key is a relative path with '/' between its segments: UTF-8, at most 1024 bytes (the limit of S3), no control
characters, no empty, '.' or '..' segment. So nothing that a key names can lie outside the root of its store. This file
knows no store.
"""

import unicodedata

from deblur_core.errors import StorageError

TEMPORARY_PREFIX = "_restore/tmp/"
"""Where stores keep what is not yet an object. Never listed, and closed to callers."""

_LONGEST_KEY_BYTES = 1024
_NEVER_SHOWN = {"Cc", "Cs", "Zl", "Zp"}
_TURN_THE_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_key(key: str) -> str:
    """Return `key` unchanged; raises StorageError if it is not a key that every store can hold."""
    problem = _problem(key, key.split("/"))
    if problem is None and key.startswith(TEMPORARY_PREFIX):
        problem = f"begins with {TEMPORARY_PREFIX}, which the stores keep for unfinished objects"
    if problem is not None:
        raise StorageError(f"the object key {key!r} {problem}; rename the object or choose another key")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix`, the beginning of keys, which may end anywhere, also in '/'; raises StorageError."""
    problem = _problem(prefix, prefix.removesuffix("/").split("/")) if prefix else None
    if problem is not None:
        raise StorageError(f"the key prefix {prefix!r} {problem}; choose another prefix")
    return prefix


def has_control_character(text: str) -> bool:
    """Whether `text` holds NUL, a line break, an escape or another character of Unicode's class Cc."""
    return any(unicodedata.category(character) == "Cc" for character in text)


def printable(text: str) -> str:
    """`text` as a terminal and a log may show it, on one line and in the order of its letters: control characters, line
    separators, marks that turn the direction of writing, and bytes that are no text, are escaped."""
    return "".join(each if _is_harmless(each) else each.encode("unicode_escape").decode() for each in text)


def _is_harmless(character: str) -> bool:
    return unicodedata.category(character) not in _NEVER_SHOWN and character not in _TURN_THE_DIRECTION


def _problem(text: str, segments: list[str]) -> str | None:
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        return "is not Unicode text"
    if size_bytes > _LONGEST_KEY_BYTES:
        return f"is {size_bytes} bytes long, more than {_LONGEST_KEY_BYTES}"
    if has_control_character(text):
        return "holds a control character"
    if text.startswith("/"):
        return "begins with '/', but keys are relative to their store"
    if not all(segments):
        return "is empty or has an empty segment"
    if "." in segments or ".." in segments:
        return "has a segment '.' or '..'"
    return None
