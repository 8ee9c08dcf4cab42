"""The tag that a rebuilt file carries of itself: which program restored it, and where that is written down.

It knows which keys each muxer of FFmpeg writes; it never takes one that the source uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deblur_core.video.source import Source, open_input

# Measured: what comes back when the file is read again. 3GP and transport streams hold no such text.
_KEYS = {
    "mp4": ("comment", "description", "synopsis"),
    "mov": ("comment",),
    "matroska": ("comment", "restored_by"),
    "webm": ("comment", "restored_by"),
}


@dataclass(frozen=True)
class ProvenanceTag:
    """A tag of the file as a whole."""

    key: str
    text: str


def free_key(source_tags: Mapping[str, str], muxer: str) -> str | None:
    """The first key that FFmpeg's `muxer` holds and the source leaves free; None where there is none."""
    taken = {key.lower().split("-")[0] for key in source_tags}
    return next((key for key in _KEYS.get(muxer, ()) if key not in taken), None)


def read_tag(source: Source, result: Source, muxer: str, name: str) -> ProvenanceTag | None:
    """The tag that a rebuilt file carries beside those of its source; None where it has none."""
    with open_input(source, name) as original:
        key = free_key(original.metadata, muxer)
    if key is None:
        return None
    with open_input(result, name) as rebuilt:
        found = {each.lower(): value for each, value in rebuilt.metadata.items()}
    return ProvenanceTag(key, found[key]) if key in found else None
