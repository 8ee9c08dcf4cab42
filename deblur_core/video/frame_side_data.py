"""What a frame carries beside its picture (closed captions, time codes, …): kept when the picture is replaced, and
declined where the encoder has no place for it.

It knows FFmpeg's names for such data and which encoder writes which (tried with each), and nothing of what it says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame

from deblur_core.errors import DeclinedVideoError

_CAPTIONS = "A53_CC"
_WRITTEN_BY = {"libx264": {_CAPTIONS}, "libx265": {_CAPTIONS}}
_LOST_WITH_THE_FRAME = {
    _CAPTIONS: "closed captions",
    "AFD": "active format descriptions",
    "S12M_TIMECODE": "time codes",
    "FILM_GRAIN_PARAMS": "film grain parameters",
    "STEREO3D": "a layout of two views",
}


def replaced_picture(original: VideoFrame, picture: VideoFrame) -> VideoFrame:
    """`picture`, with what `original` carries: the original itself with other samples, where it carries anything that
    is lost otherwise and both are of one pixel format. Neither is to be used afterwards."""
    if not _kinds(original) or picture.format.name != original.format.name:
        return picture
    original.make_writable()
    for new, old in zip(picture.planes, original.planes, strict=True):
        rows = [
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size) for plane in (new, old)
        ]
        used = min(plane.line_size for plane in (new, old))
        rows[1][:, :used] = rows[0][:, :used]
    return original


def require_kept(frame: VideoFrame, encoder: str, number: int, name: str) -> None:
    """Raises DeclinedVideoError where encoding `frame` with FFmpeg's `encoder` would lose what it carries."""
    lost = _kinds(frame) - _WRITTEN_BY.get(encoder, set())
    if frame.format.name.startswith("yuvj"):
        lost = _kinds(frame)  # its samples are copied to a frame of the plain format
    if lost:
        what = " and ".join(_LOST_WITH_THE_FRAME[kind] for kind in sorted(lost))
        raise DeclinedVideoError(f"{name}: frame {number} carries {what}, for which {encoder} has no place")


def side_data_of(frame: VideoFrame) -> list[SideData]:
    """What FFmpeg has attached to a frame; raises ValueError where it has a kind that PyAV has no name for.

    `frame.side_data` would keep in the frame what refers to the frame: its picture, and the file and the threads of its
    decoder, would then stay until Python's collector comes by.
    """
    return list(cast("Iterable[SideData]", SideDataContainer(frame)))  # type: ignore[call-arg]


def _kinds(frame: VideoFrame) -> set[str]:
    try:
        return {item.type.name for item in side_data_of(frame)} & set(_LOST_WITH_THE_FRAME)
    except ValueError:  # a kind that PyAV has no name for: the probe has declined such videos
        return set()
