"""What x265 must heed so that its pictures fit between those of an HEVC source, and where it cannot.

It reads the source's header and knows no packets.
"""

from __future__ import annotations

from deblur_core.video.bits import BitstreamError
from deblur_core.video.encoder_choice import BesideHevc
from deblur_core.video.hevc import PPS, SPS, VPS, SequenceParameters, parse_header, sequence_parameters
from deblur_core.video.hevc_ids import free_ids
from deblur_core.video.probe import VideoInfo

# general_profile_idc (A.3). The encoder uses the first that its samples allow; the source's must be no less.
_MAIN, _MAIN_10 = 1, 2
_SAMPLES = {"yuv420p": _MAIN, "yuvj420p": _MAIN, "yuv420p10le": _MAIN_10}
# Sides of the smallest block that x265 can be told; first what its preset uses.
_BLOCKS = (16, 8, 32)


def hindrance(info: VideoInfo) -> str | None:
    """Why it cannot, in words that follow "because". Raises BitstreamError for a header that cannot be read."""
    header = parse_header(info.extradata)
    least = _SAMPLES.get(info.pixel_format)
    if least is None or not least <= header.profile <= _MAIN_10:
        return f"that is done for Main and Main 10 only, and its profile is {header.profile} ({info.pixel_format})"
    sequence = _read(info)
    free_ids(header)
    if sequence.is_cropped_at_start or _block(info, sequence) is None:
        return "its pictures are cut out of larger ones in a way of their own"
    return None


def beside(info: VideoInfo) -> BesideHevc:
    """What it must heed where nothing hinders it."""
    block = _block(info, _read(info))
    assert block is not None
    return BesideHevc(block)


def _block(info: VideoInfo, sequence: SequenceParameters) -> int | None:
    """With which the encoder fills its pictures up to the size of the source's."""
    coded = (sequence.coded_width, sequence.coded_height)
    for side in _BLOCKS:
        if coded == (-(-info.width // side) * side, -(-info.height // side) * side):
            return side
    return None


def _read(info: VideoInfo) -> SequenceParameters:
    header = parse_header(info.extradata)
    sequences = header.of_kind(SPS)
    if len(sequences) != 1 or not header.of_kind(VPS) or not header.of_kind(PPS):
        raise BitstreamError(f"its header holds {len(sequences)} sequence parameter sets")
    return sequence_parameters(sequences[0])
