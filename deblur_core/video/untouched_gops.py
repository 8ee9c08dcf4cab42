"""Decides whether the GOPs of a video that hold no restored frame can stay byte for byte, and what that asks of the
encoder of the others.

Only H.264 in MP4, MOV and Matroska so far. It knows neither which frames are restored nor how packets are joined.
"""

from __future__ import annotations

from deblur_core.video.bits import BitstreamError
from deblur_core.video.containers import is_mp4_family
from deblur_core.video.encoder_choice import Beside, EncoderChoice
from deblur_core.video.h264 import Header, SequenceParameters, parse_header, sequence_parameters
from deblur_core.video.index import VideoIndex
from deblur_core.video.probe import VideoInfo

# profile_idc (A.2) and x264's name for the most that it may use.
_PROFILES = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}
_MOST_IDS = 32
_MACROBLOCK = 16


def hindrance(info: VideoInfo, index: VideoIndex, choice: EncoderChoice, muxer: str) -> str | None:
    """Why all frames must be encoded, in words that follow "because"; None where untouched GOPs can stay."""
    if info.codec != "h264" or choice.encoder != "libx264":
        return f"that is done from H.264 to H.264 only, and this goes from {info.codec} to {choice.encoder}"
    if not info.container.startswith(("mov,", "matroska")) or not (is_mp4_family(muxer) or muxer == "matroska"):
        return f"that is done in MP4, MOV and Matroska only, and this goes from {info.container} to {muxer}"
    if index.gop is None:
        return index.gop_hindrance or "its GOPs are not known"
    if is_mp4_family(muxer) and (not info.container.startswith("mov,") or None in index.boundary_dts):
        return f"its packets carry no decoding times, which {muxer} needs"
    if info.dynamic_metadata:
        return f"it carries {' and '.join(info.dynamic_metadata)}"
    if choice.crf == 0 and info.bit_depth == 8:
        return "without any loss the encoder uses a profile of its own"
    if "444" in info.pixel_format:
        # FFmpeg decodes 4:4:4 of old x264 by the signature in the stream, of which there can be but one.
        return "players tell the kind of 4:4:4 from the encoder's signature"
    return _hindrance_of_header(info)


def beside(info: VideoInfo) -> Beside:
    """What the encoder must heed where `hindrance` finds nothing."""
    header, sequence = _read(info)
    free = min(set(range(_MOST_IDS)) - header.used_ids)
    return Beside(free, _PROFILES[header.profile], sequence.buffered_frames)


def _hindrance_of_header(info: VideoInfo) -> str | None:
    try:
        header, sequence = _read(info)
        used = header.used_ids
    except BitstreamError as error:
        return str(error)
    if header.profile not in _PROFILES:
        return f"its profile {header.profile} is not one that the encoder writes"
    if used >= set(range(_MOST_IDS)):
        return "it leaves no parameter set id free"
    usual = (-(-info.width // _MACROBLOCK) * _MACROBLOCK, -(-info.height // _MACROBLOCK) * _MACROBLOCK)
    if sequence.is_cropped_at_start or (sequence.coded_width, sequence.coded_height) != usual:
        return "its pictures are cut out of larger ones in a way of their own"
    return None


def _read(info: VideoInfo) -> tuple[Header, SequenceParameters]:
    header = parse_header(info.extradata)
    if len(header.sequence_sets) != 1 or not header.picture_sets:
        raise BitstreamError(f"it has {len(header.sequence_sets)} sequence parameter sets")
    return header, sequence_parameters(header.sequence_sets[0])
