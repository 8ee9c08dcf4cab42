"""Whether an encoder really works here: some are compiled in and fail to open, so one frame is encoded to find out."""

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

_SIDE = 256  # hardware encoders refuse very small frames


def can_encode(encoder: str) -> bool:
    """Encodes one grey frame with FFmpeg's encoder of this name; False when it is absent or fails."""
    try:
        context = cast("VideoCodecContext", av.CodecContext.create(encoder, "w"))
        context.width, context.height, context.pix_fmt = _SIDE, _SIDE, "yuv420p"
        context.time_base = Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(np.full((_SIDE * 3 // 2, _SIDE), 128, np.uint8), format="yuv420p")
        frame.pts = 0
        return bool([*context.encode(frame), *context.encode(None)])
    except (av.FFmpegError, ValueError, OSError):
        return False
