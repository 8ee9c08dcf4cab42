"""Proves that the packets of a rebuilt video that were to stay are those of its source, byte for byte and in time."""

from __future__ import annotations

from array import array
from hashlib import blake2b

import numpy as np

from deblur_core.errors import VerificationError
from deblur_core.video.bits import BitstreamError
from deblur_core.video.carried_packets import in_new_order, source_packets
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.joining import parameter_sets
from deblur_core.video.nal_units import has_start_codes
from deblur_core.video.source import Source, each_packet, main_video_stream, open_input

_DIGEST_BYTES = 8


def compare_carried(
    source: Source, result: Source, times: FrameTimes, stay: np.ndarray, keeps_dts: bool, name: str
) -> None:
    """Compares the packets of the frames `stay` (bool [N]) in both files, in decoding order, and what their decoder is
    told at the start.

    keeps_dts: whether the container stores decoding times, which must then be equal for all packets. Raises
    VerificationError naming the first difference.
    """
    _compare_headers(source, result, name)
    frames, digests, decoding_times = array("q"), bytearray(), array("q")
    for packet, frame, dts in in_new_order(source_packets(source, times, name), stay):
        frames.append(frame)
        digests += _digest(memoryview(packet))
        decoding_times.append(dts or 0)
    count = 0
    with open_input(result, name) as container:
        stream = main_video_stream(container, name)
        for packet in each_packet(container, stream):
            if not packet.size:
                continue
            if count == len(frames):
                raise VerificationError(f"{name}: has more packets than its source has frames")
            frame = frames[count]
            digest = digests[count * _DIGEST_BYTES : (count + 1) * _DIGEST_BYTES]
            if stay[frame] and _digest(memoryview(packet)) != digest:
                raise VerificationError(f"{name}: frame {frame} was to stay byte for byte and did not")
            if keeps_dts and packet.dts is not None:
                seconds = [packet.dts * packet.time_base, decoding_times[count] * times.time_base]
                if seconds[0] != seconds[1]:
                    raise VerificationError(
                        f"{name}: the packet of frame {frame} was decoded at {float(seconds[1]):.6f} s and would be at "
                        f"{float(seconds[0]):.6f} s"
                    )
            count += 1
    if count != len(frames):
        raise VerificationError(f"{name}: has {count} packets and must have {len(frames)}")


def _compare_headers(source: Source, result: Source, name: str) -> None:
    found = []
    # Transport streams have no header; their parameter sets come with the packets.
    for opened in (source, result):
        with open_input(opened, name) as container:
            context = main_video_stream(container, name).codec_context
            if has_start_codes(context.extradata or b""):
                return
            try:
                found.append(parameter_sets(context.codec.canonical_name, context.extradata or b""))
            except BitstreamError as error:
                raise VerificationError(f"{name}: {error}") from error
    (before_profile, before), (after_profile, after) = found
    if not before <= after or before_profile != after_profile:
        raise VerificationError(f"{name}: the parameter sets of its source are no longer there")


def _digest(data: memoryview) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()
