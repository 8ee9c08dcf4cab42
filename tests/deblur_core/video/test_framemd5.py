"""The framemd5 text: what FFmpeg itself would write."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_core.video.framemd5 import framemd5_lines, raw_bytes
from deblur_core.video.pixel_format import samples, to_layout
from tests.media import decoded_frames, make_clip


def counted(pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    """Samples that count up through all planes."""
    frame = av.VideoFrame(*size, pixel_format)
    start = 0
    for plane in range(len(frame.planes)):
        values = samples(frame, plane)
        values[:] = (start + np.arange(values.size)).reshape(values.shape)
        start += values.size
    frame.pts, frame.time_base = 7, Fraction(1, 25)
    return frame


@pytest.mark.parametrize(
    ("pixel_format", "size", "raw"),
    [
        ("yuv420p", (3, 3), bytes(range(9 + 4 + 4))),
        ("yuv422p10le", (2, 2), b"".join(n.to_bytes(2, "little") for n in range(4 + 2 + 2))),
        ("gray", (5, 1), bytes(range(5))),
    ],
)
def test_hash_is_that_of_the_raw_planes(pixel_format: str, size: tuple[int, int], raw: bytes) -> None:
    frame = counted(pixel_format, size)
    assert raw_bytes(frame) == raw
    line = list(framemd5_lines([frame], pixel_format, Fraction(1, 25), None))[-1]
    digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    assert [each.strip() for each in line.split(",")] == ["0", "7", "7", "0", str(len(raw)), digest]


def test_md5_of_a_black_frame_is_the_known_one() -> None:
    """16 × 16 of yuv420p, limited black: 256 bytes of 16 and 128 bytes of 128."""
    frame = av.VideoFrame(16, 16, "yuv420p")
    for plane, value in enumerate((16, 128, 128)):
        samples(frame, plane)[:] = value
    frame.pts = 0
    line = list(framemd5_lines([frame], "yuv420p", Fraction(1, 25), None))[-1]
    assert line.split(", ")[-1].strip() == "8aaefe0adcea094cfb5161a060bab4e2"


@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("libx264", "yuv420p"), ("ffv1", "yuv422p10le"), ("ffv1", "bgr0"), ("ffv1", "gray")]
)
def test_text_is_what_ffmpeg_writes(tmp_path: Path, codec: str, pixel_format: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=4, size=(52, 36), codec=codec, pixel_format=pixel_format, audio=False)
    frames = decoded_frames(clip)
    tick = Fraction(1, 1000)
    # With "bitexact" it does not name its version.
    with av.open(str(tmp_path / "f"), "w", format="framemd5", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("rawvideo", rate=25, width=52, height=36, pix_fmt=pixel_format)
        stream.codec_context.time_base = tick
        for frame in frames:
            for packet in stream.encode(frame):
                packet.duration = frame.duration
                container.mux(packet)
    written = "".join(framemd5_lines(frames, pixel_format, tick, None))
    assert written == (tmp_path / "f").read_text()


def test_8_bit_rgb_has_one_hash_whatever_its_layout(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=1, size=(51, 35), codec="ffv1", pixel_format="bgr0", audio=False)
    frame = decoded_frames(clip)[0]
    lines = {
        list(framemd5_lines([to_layout(frame, layout)], "bgr0", Fraction(1, 1000), None))[-1]
        for layout in ("bgr0", "rgb24", "gbrp")
    }
    assert len(lines) == 1


def test_a_video_without_frames_has_no_checksums() -> None:
    with pytest.raises(ValueError, match="without frames"):
        list(framemd5_lines([], "yuv420p", Fraction(1, 25), None))
