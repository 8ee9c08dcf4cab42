"""What x264 must heed so that its pictures fit between those of an H.264 source, and where it cannot.

It reads the source's header and knows no packets.
"""

from __future__ import annotations

from deblur_core.video.bits import BitstreamError
from deblur_core.video.encoder_choice import BesideH264, EncoderChoice
from deblur_core.video.h264 import Header, SequenceParameters, parse_header, sequence_parameters
from deblur_core.video.probe import VideoInfo

# profile_idc (A.2) and x264's name for the most that it may use.
_PROFILES = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422", 244: "high444"}
_MOST_IDS = 32
_MACROBLOCK = 16


def hindrance(info: VideoInfo, choice: EncoderChoice) -> str | None:
    """Why it cannot, in words that follow "because". Raises BitstreamError for a header that cannot be read."""
    if info.dynamic_metadata:
        return f"it carries {' and '.join(info.dynamic_metadata)}"
    if choice.crf == 0 and info.bit_depth == 8:
        return "without any loss the encoder uses a profile of its own"
    if "444" in info.pixel_format:
        # FFmpeg decodes 4:4:4 of old x264 by the signature in the stream, of which there can be but one.
        return "players tell the kind of 4:4:4 from the encoder's signature"
    header, sequence = _read(info)
    if header.profile not in _PROFILES:
        return f"its profile {header.profile} is not one that the encoder writes"
    if header.used_ids >= set(range(_MOST_IDS)):
        return "it leaves no parameter set id free"
    usual = (-(-info.width // _MACROBLOCK) * _MACROBLOCK, -(-info.height // _MACROBLOCK) * _MACROBLOCK)
    if sequence.is_cropped_at_start or (sequence.coded_width, sequence.coded_height) != usual:
        return "its pictures are cut out of larger ones in a way of their own"
    return None


def beside(info: VideoInfo) -> BesideH264:
    """What it must heed where nothing hinders it."""
    header, sequence = _read(info)
    free = min(set(range(_MOST_IDS)) - header.used_ids)
    return BesideH264(free, _PROFILES[header.profile], sequence.buffered_frames)


def _read(info: VideoInfo) -> tuple[Header, SequenceParameters]:
    header = parse_header(info.extradata)
    if len(header.sequence_sets) != 1 or not header.picture_sets:
        raise BitstreamError(f"it has {len(header.sequence_sets)} sequence parameter sets")
    return header, sequence_parameters(header.sequence_sets[0])
