"""Compares the tags of a rebuilt file and of its streams with those of its source.

A tag that a container cannot hold is lost in it, which is said; one that comes out as another is an error. It knows
nothing of packets or pictures.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from av.stream import Disposition, Stream

from deblur_core.errors import VerificationError
from deblur_core.video.source import Source, main_video_stream, open_input

# What muxers write of themselves, or of what they have written.
_OF_THE_MUXER = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "duration", "number_of_frames",
    "number_of_bytes", "bps",
}  # fmt: skip
_STATISTICS = "_statistics"
_NUMBERS = re.compile(r"[+-]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Lost:
    """Something of the source that the result does not have, and why."""

    what: str
    why: str


def compare_tags(
    source: Source,
    result: Source,
    pairs: Iterable[tuple[int, int]],
    muxer: str,
    name: str,
    added: Collection[str] = (),
) -> list[Lost]:
    """The tags and marks that FFmpeg's `muxer` did not write; the name of an old encoder is not counted.

    pairs: (index in the source, index in the result) of the streams beside the main video. added: keys of the file that
    only the result has. Raises VerificationError if a tag of the source has another value, or the file has one that
    neither its source nor its muxer gave it.
    """
    lost: list[Lost] = []
    with open_input(source, name) as original, open_input(result, name) as rebuilt:
        before, after = _tags(original.metadata), _tags(rebuilt.metadata)
        lost += _compare(before, after, "the file", muxer, name)
        # One tag may be told once for all languages and once for its own (location, location-eng).
        known = {_stem(key) for key in before} | {key.lower() for key in added}
        odd = sorted(key for key in after if _stem(key) not in known)
        if odd:
            raise VerificationError(f"{name}: would get the tag {odd[0]}, which its source does not have")
        mains = main_video_stream(original, name).index, main_video_stream(rebuilt, name).index
        for from_index, to_index in [mains, *pairs]:
            left, right = original.streams[from_index], rebuilt.streams[to_index]
            what = f"{left.type} stream {left.index}"
            lost += _compare(_tags(left.metadata), _tags(right.metadata), what, muxer, name)
            lost += _compare_dispositions(left, right, what, muxer)
    return lost


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """By lower-case key, as Matroska tells them; without what muxers write themselves, and without empty ones."""
    kept = {}
    for key, value in metadata.items():
        plain = key.lower()
        stem = _stem(plain)
        if stem in _OF_THE_MUXER or stem.startswith(_STATISTICS) or (plain == "language" and value == "und"):
            continue
        if value.strip():
            kept[plain] = value.strip()
    return kept


def _stem(key: str) -> str:
    """Without the language."""
    return key.split("-")[0]


def _compare(before: dict[str, str], after: dict[str, str], what: str, muxer: str, name: str) -> list[Lost]:
    lost = []
    for key, value in before.items():
        if key not in after:
            lost.append(Lost(f"tag {key} of {what}", f"a {muxer} file as FFmpeg writes it does not hold it"))
        elif _plain(key, after[key]) != _plain(key, value):
            raise VerificationError(f"{name}: the tag {key} of {what} was {value!r} and would become {after[key]!r}")
    return lost


def _plain(key: str, value: str) -> object:
    """The value as containers mean it: moments to the second, places as numbers."""
    if key == "creation_time":
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return moment.replace(tzinfo=moment.tzinfo or UTC, microsecond=0)
    if key.startswith("location"):
        return tuple(float(number) for number in _NUMBERS.findall(value)) or value
    return value


def _compare_dispositions(before: Stream, after: Stream, what: str, muxer: str) -> list[Lost]:
    missing = int(before.disposition) & ~int(after.disposition)
    return [
        Lost(f"the mark {flag.name} of {what}", f"a {muxer} file as FFmpeg writes it does not hold it")
        for flag in Disposition
        if int(flag) & missing
    ]
