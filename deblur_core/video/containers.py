"""Which container a result goes into, and which codecs that container holds.

It knows file suffixes and FFmpeg's muxers, nothing about any particular video.
"""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache
from pathlib import PurePosixPath

import av

# Suffixes whose containers hold modern codecs with exact times; every other result is put into Matroska.
_MUXERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".mts": "mpegts",
    ".3gp": "3gp",
    ".3g2": "3g2",
}
# FFmpeg's muxer for transport streams refuses nothing and writes what no player reads.
_TRANSPORT_STREAM_VIDEO = frozenset({"libx264", "libx265"})
# FFmpeg's muxer for MOV lists them and refuses them when it writes the header.
_REFUSED_BY_MOV = frozenset({"libvpx-vp9", "libsvtav1"})
# Matroska's as FFmpeg writes it.
_TICKS = {"mpegts": Fraction(1, 90000), "matroska": Fraction(1, 1000), "webm": Fraction(1, 1000)}
_MP4_FAMILY = {"mp4", "mov", "3gp", "3g2"}


def output_name(relative_path: str) -> str:
    """The name of the result: the source's own, with .mkv added where its container cannot hold the result
    (a/clip.avi → a/clip.avi.mkv)."""
    return relative_path if _suffix(relative_path) in _MUXERS else relative_path + ".mkv"


def muxer_for(name: str) -> str:
    """FFmpeg's muxer for a result of this name (mp4, mov, matroska, webm, mpegts, …)."""
    return _MUXERS.get(_suffix(name), "matroska")


def is_mp4_family(muxer: str) -> bool:
    """Containers of ISO boxes: any time base, edit lists, sample entries with a four-character tag."""
    return muxer in _MP4_FAMILY


def keeps_decoding_times(muxer: str) -> bool:
    """Whether the container stores when each packet is decoded."""
    return is_mp4_family(muxer) or muxer == "mpegts"


def tick_of(muxer: str) -> Fraction | None:
    """Seconds of the tick in which the container counts time; None where each stream may have its own."""
    return _TICKS.get(muxer)


def holds(muxer: str, encoder: str) -> bool:
    """Whether the container takes what this video encoder (FFmpeg's name: libx264, …) writes."""
    return encoder in (_TRANSPORT_STREAM_VIDEO if muxer == "mpegts" else _codecs_of(muxer))


@cache
def _codecs_of(muxer: str) -> frozenset[str]:
    with av.open(io.BytesIO(), "w", format=muxer) as container:
        return frozenset(container.supported_codecs) - (_REFUSED_BY_MOV if muxer == "mov" else frozenset())


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
