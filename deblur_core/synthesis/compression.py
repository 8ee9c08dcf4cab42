"""What recording does to frames after the sensor: JPEG, or H.264 as a camera or an archive's encoder would write it.

Frames are uint8 RGB [H, W, 3]. Knows nothing about blur.
"""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from deblur_core.video.repeatable import X264_PARAMS
from deblur_core.video.source import open_input

REPEATABLE = {"x264-params": ":".join(f"{name}={value}" for name, value in X264_PARAMS.items())} if X264_PARAMS else {}
"""Options of libx264 with which equal frames give equal bytes."""


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    """One frame through JPEG at `quality` (1 to 100)."""
    ok, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError("jpeg: the frame could not be encoded")
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def h264(frames: Sequence[np.ndarray], crf: float, preset: str = "veryfast", gop: int = 30) -> list[np.ndarray]:
    """A run of frames through x264 at `crf`, 4:2:0, and back; sides must be even. Same number of frames.

    Equal frames and settings give equal results.
    """
    height, width = frames[0].shape[:2]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        stream.options = {"preset": preset, "crf": str(crf), **REPEATABLE}
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    buffer.seek(0)
    with open_input(buffer, "the compressed frames") as source:
        source.streams.video[0].thread_count = 1
        return [picture.to_ndarray(format="rgb24") for picture in source.decode(video=0)]
