"""Decides whether the GOPs of a video that hold no restored frame can stay byte for byte, and what that asks of the
encoder of the others.

Only H.264 and HEVC, in MP4, MOV, Matroska and transport streams. It knows neither which frames are restored nor how
packets are joined.
"""

from __future__ import annotations

from deblur_core.video import beside_h264, beside_hevc
from deblur_core.video.bits import BitstreamError
from deblur_core.video.containers import is_mp4_family, keeps_decoding_times
from deblur_core.video.encoder_choice import CODECS, BesideH264, BesideHevc, EncoderChoice
from deblur_core.video.index import VideoIndex
from deblur_core.video.probe import VideoInfo

_CODECS = {"h264": "H.264", "hevc": "HEVC"}


def hindrance(info: VideoInfo, index: VideoIndex, choice: EncoderChoice, muxer: str) -> str | None:
    """Why all frames must be encoded, in words that follow "because"; None where untouched GOPs can stay."""
    if info.codec not in _CODECS:
        return f"that is done for {' and '.join(_CODECS.values())} only, and this is {info.codec}"
    if choice.encoder != CODECS[info.codec]:
        family = _CODECS[info.codec]
        return f"that is done from {family} to {family} only, and this goes from {info.codec} to {choice.encoder}"
    framing = _framing(info.container)
    if framing is None or framing != _framing(muxer):
        kinds = "MP4, MOV and Matroska or within transport streams"
        return f"that is done within {kinds} only, and this goes from {info.container} to {muxer}"
    if index.gop is None:
        return index.gop_hindrance or "its GOPs are not known"
    if keeps_decoding_times(muxer) and (info.container.startswith("matroska") or None in index.boundary_dts):
        return f"its packets carry no decoding times, which {muxer} needs"
    try:
        return beside_hevc.hindrance(info) if info.codec == "hevc" else beside_h264.hindrance(info, choice)
    except BitstreamError as error:
        return str(error)


def _framing(container: str) -> str | None:
    """How NAL units stand in the packets of a demuxer or muxer of FFmpeg's; None where it is not known."""
    if container.startswith(("mov,", "matroska")) or is_mp4_family(container):
        return "lengths"
    return "start codes" if container == "mpegts" else None


def beside(info: VideoInfo) -> BesideH264 | BesideHevc:
    """What the encoder must heed where `hindrance` finds nothing."""
    return beside_hevc.beside(info) if info.codec == "hevc" else beside_h264.beside(info)
