"""Finds the GOPs of an H.264 or HEVC stream whose packets may stay as they are while those around them are encoded
again.

Decoding such a GOP needs nothing from outside but for its leading pictures, and where it starts all ends that came
before. It looks at the first bytes of packets (`gop_marks`) and knows no encoder.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from av.packet import Packet

from deblur_core.video.bits import BitstreamError
from deblur_core.video.gop_marks import Marker, marker_of
from deblur_core.video.nal_units import has_start_codes, started_units, units

NOWHERE = -1


class GopWatch:
    """Sees the packets of the stream in decoding order and numbers their GOPs."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        """extradata: the stream's header (avcC, hvcC, or parameter sets with start codes)."""
        self.hindrance: str | None = None
        """why no GOP of this stream can stay, in words"""
        self._numbers = array("i")
        self._spoiled: set[int] = set()
        self._going_back: set[int] = set()
        self._leads = bytearray()
        self._referring_back: set[int] = set()
        self._current = NOWHERE
        self._marker: Marker | None = None
        self._units = started_units if has_start_codes(extradata or b"") else units
        try:
            self._marker = marker_of(codec, extradata or b"")
        except BitstreamError as error:
            self.hindrance = str(error)

    def see(self, packet: Packet, shown: bool) -> None:
        """Takes in the next packet; a GOP with one that is not shown (`shown`) cannot stay."""
        leads = False
        if self.hindrance is None:
            try:
                leads = self._look(packet)
            except BitstreamError as error:
                self.hindrance = str(error)
        if shown:
            self._numbers.append(self._current)
            self._leads.append(leads)
        else:
            self._spoiled.add(self._current)

    def _look(self, packet: Packet) -> bool:
        """Whether it leads."""
        assert self._marker is not None
        if packet.has_sidedata("new_extradata"):
            raise BitstreamError("its header changes on the way")
        mark = self._marker.mark(list(self._units(memoryview(packet))))
        self._current += mark.starts
        if mark.goes_back:
            self._going_back.add(self._current)
        if mark.refers_back:
            self._referring_back.add(self._current)
        return mark.leads

    def numbers(self, pts: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray | None:
        """int32 [N]: for each frame in order of `pts` (int64 [P], of the shown packets in decoding order) the number of
        its GOP, never falling, or NOWHERE (-1) where its packet cannot stay; None where none can.

        kept: bool [P], which of the packets are frames of the video; N of them are.
        """
        if self.hindrance is not None:
            return None
        seen: np.ndarray[Any, Any] = np.frombuffer(self._numbers, np.int32)
        # Those that need the one before are one with it.
        joined = np.cumsum([number not in self._going_back for number in range(1, self._current + 1)], dtype=np.int32)
        whole = np.concatenate([[0], joined, [NOWHERE]]).astype(np.int32)
        numbers, spoiled = whole[seen], {int(whole[number]) for number in self._spoiled}
        if kept is not None:
            spoiled |= {int(number) for number in np.unique(numbers[~kept])}
            numbers, pts = numbers[kept], pts[kept]
        shown = numbers[np.argsort(pts, kind="stable")]
        if (np.diff(shown) < 0).any():
            self.hindrance = "its pictures are shown in another order than their GOPs"
            return None
        return np.where(np.isin(shown, list(spoiled)), NOWHERE, shown).astype(np.int32)

    def refers_back(self, pts: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
        """bool [N]: for each frame in order of `pts` whether its packet may need the GOP before its own; such a one
        cannot stay where a frame of that GOP is encoded. pts, kept: as in `numbers`, which gives other than None."""
        numbers: np.ndarray[Any, Any] = np.frombuffer(self._numbers, np.int32)
        marks = np.frombuffer(self._leads, np.uint8).astype(bool) & np.isin(numbers, list(self._referring_back))
        if kept is not None:
            marks, pts = marks[kept], pts[kept]
        back: np.ndarray = marks[np.argsort(pts, kind="stable")]
        return back


def clean_cuts(pts: np.ndarray) -> np.ndarray:
    """bool [N]: where packets in decoding order (pts int64 [N]) can be cut in two that do not overlap in time: as many
    frames lie before the cut as packets do."""
    latest_before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(pts)[:-1]])
    cuts: np.ndarray = latest_before < np.minimum.accumulate(pts[::-1])[::-1]
    return cuts


def to_encode(
    gop: np.ndarray,
    is_cut: np.ndarray,
    first_frame: int,
    restored: np.ndarray,
    refers_back: np.ndarray | None = None,
) -> np.ndarray:
    """bool [n]: which frames of a segment are encoded: those of its GOPs with a restored frame, from the last place
    before that at which they can be cut; those whose packets cannot stay; those of a GOP that goes on beyond it; and
    what leads in a GOP and refers back to one of which a frame is encoded.

    gop: int32 [N] as `GopWatch.numbers` gives it, is_cut, refers_back: bool [N] as the index has them, of the whole
    video; restored: bool [n], of the segment's frames.
    """
    stop_frame = first_frame + len(restored)
    own = gop[first_frame:stop_frame]
    back = np.zeros(len(own), bool) if refers_back is None else refers_back[first_frame:stop_frame]
    around = [gop[place] for place in (first_frame - 1, stop_frame) if 0 <= place < len(gop)]
    encoded: np.ndarray = np.isin(own, [NOWHERE, *around])
    for number in np.unique(own[restored & ~encoded]):
        frames = np.flatnonzero(own == number)
        if (restored & back)[frames].any():
            encoded[frames[back[frames]]] = True
        hit = frames[(restored & ~back)[frames]]
        if len(hit):
            before = frames[frames <= hit[0]]
            encoded[before[is_cut[first_frame + before]][-1] : frames[-1] + 1] = True
    # What leads is shown in one run, right after the GOP to which it refers.
    for place in np.flatnonzero(back):
        encoded[place] |= place > 0 and encoded[place - 1]
    return encoded


def gop_starts(gop: np.ndarray, encoded: np.ndarray) -> set[int]:
    """Places in `encoded` (int64 [n], rising frame numbers) at which a GOP must start: after frames that stay, and
    where one of the source's starts, so that seeking stays as quick as it was."""
    goes_on = (np.diff(encoded) == 1) & (np.diff(gop[encoded]) == 0)
    return {0, *(int(place) + 1 for place in np.flatnonzero(~goes_on))}
