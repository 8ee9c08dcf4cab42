"""How finely an H.264 source was quantised, so that its untouched frames need not be encoded finer than they are.

Looks at a few keyframes, which are the finest pictures of a stream. It knows no encoder.
"""

from __future__ import annotations

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.encparams import VideoEncParams

from deblur_core.video.frame_side_data import side_data_of
from deblur_core.video.source import Source, each_frame, main_video_stream, open_input

_SAMPLES = 6


def finest_quantiser(source: Source, name: str) -> float | None:
    """The least mean QP of the keyframes at the start and at five places spread over the video, on the codec's own
    scale (0..51, to 63 at 10 bits); None for other codecs than H.264 and where nothing can be learnt."""
    found = []
    with open_input(source, name) as container:
        stream = main_video_stream(container, name)
        context = stream.codec_context
        if context is None or context.codec.canonical_name != "h264":
            return None
        context.options = {**context.options, "export_side_data": "venc_params"}
        for other in container.streams:
            if other.index != stream.index:
                other.discard = av.stream.Discard.all
        for place in range(_SAMPLES):
            try:
                if place and container.duration:
                    start = container.start_time or 0
                    container.seek(start + container.duration * place // _SAMPLES)
                found.append(_next_quantiser(container, stream))
            except av.FFmpegError:
                continue
    known = [each for each in found if each is not None]
    return min(known) if known else None


def _next_quantiser(container: InputContainer, stream: av.video.stream.VideoStream) -> float | None:
    for frame in each_frame(container, stream):
        try:
            parameters = next((item for item in side_data_of(frame) if isinstance(item, VideoEncParams)), None)
        except ValueError:
            return None
        if parameters is None:
            return None
        try:
            return float(np.mean(parameters.qp_map()))
        except RuntimeError:
            # Interlaced pictures are coded in pairs of block rows: where their number is odd, PyAV's map does not fit.
            return None
    return None
