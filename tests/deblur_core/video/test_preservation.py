"""A preservation master: FFV1 version 3, each frame alone, each slice with its checksum, every sample as it was."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

from deblur_core.video.encode import EncodeSettings, choose_encoder, encode_segment
from deblur_core.video.pixel_format import samples, to_plain
from deblur_core.video.preservation import master_name, slice_count
from deblur_core.video.probe import MasteringDisplay, VideoInfo, probe
from tests.media import decoded_frames, make_clip

MASTER = EncodeSettings(codec="ffv1")
DISPLAY = MasteringDisplay((35400, 14600), (8500, 39850), (6550, 2300), (15635, 16450), 10_000_000, 50)


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return probe(make_clip(tmp_path_factory.mktemp("any") / "any.mp4", frames=2, audio=False), "any.mp4")


@pytest.fixture
def _debug_log() -> Iterator[None]:
    """FFmpeg hands PyAV everything it says."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.DEBUG)
    yield
    av.logging.set_level(level)


def noise(pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pixel_format)
    random = np.random.default_rng(2)
    for plane in range(len(frame.planes)):
        buffer = frame.planes[plane]
        if frame.format.components[0].bits > 8:
            values = samples(frame, plane)
            values[:] = random.integers(0, 2 ** frame.format.components[0].bits, values.shape)
        else:
            buffer.update(random.integers(0, 256, buffer.buffer_size, dtype=np.uint8).tobytes())
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 1, 1, 1, 1
    return frame


def master_of(frames: list[av.VideoFrame], info: VideoInfo, path: Path) -> Path:
    described = replace(info, width=frames[0].width, height=frames[0].height, pixel_format=frames[0].format.name)
    encode_segment(frames, [False] * len(frames), described, choose_encoder(described, ".mkv", MASTER), path)
    return path


def said_by_the_decoder(path: Path) -> list[str]:
    with av.logging.Capture() as said, av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"debug": "pict"}
        stream.codec_context.thread_count = 1
        list(container.decode(stream))
    return [message for _, name, message in said if name == "ffv1"]


@pytest.mark.parametrize(
    ("name", "master"),
    [("a/b.mkv", "a/b.mkv"), ("a/b.MKV", "a/b.MKV"), ("a.mov", "a.mov.mkv"), ("a.avi", "a.avi.mkv"), ("a", "a.mkv")],
)
def test_a_master_is_a_matroska_file(name: str, master: str) -> None:
    assert master_name(name) == master


@pytest.mark.parametrize(
    ("size", "count"),
    [
        *[((8, 100), 1), ((352, 288), 4), ((720, 576), 6), ((1920, 1080), 24), ((3840, 2160), 96), ((7680, 4320), 128)],
        *[((51, 35), 16), ((1919, 1079), 49)],
    ],
)
def test_slices_suit_the_size(size: tuple[int, int], count: int) -> None:
    assert slice_count(*size, "yuv420p") == count


@pytest.mark.usefixtures("_debug_log")
@pytest.mark.parametrize(("size", "slices"), [((192, 128), "2x2"), ((720, 576), "3x2"), ((7, 5), "1x1")])
def test_the_header_says_version_3_checksums_and_intra(
    tmp_path: Path, info: VideoInfo, size: tuple[int, int], slices: str
) -> None:
    path = master_of([noise("yuv420p", size) for _ in range(3)], info, tmp_path / "m.mkv")
    (header,) = {each for each in said_by_the_decoder(path) if each.startswith("global:")}
    assert header.startswith("global: ver:3.4, coder:1,")
    assert f"slices:{slices} " in header
    assert "ec:1 intra:1 " in header
    with av.open(str(path)) as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


@pytest.mark.usefixtures("_debug_log")
def test_one_wrong_bit_is_noticed(tmp_path: Path, info: VideoInfo) -> None:
    path = master_of([noise("yuv420p", (192, 128))], info, tmp_path / "m.mkv")
    assert not any("mismatch" in each for each in said_by_the_decoder(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert any("slice CRC mismatch" in each for each in said_by_the_decoder(path))


@pytest.mark.parametrize("size", [(64, 48), (51, 35)], ids=["even", "odd"])
@pytest.mark.parametrize(
    "pixel_format",
    [
        *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p12le"),
        *("yuv444p16le", "yuva420p", "yuva444p10le", "gray", "gray10le", "gray16le", "gbrp", "gbrp10le"),
        *("gbrp16le", "gbrap", "rgb24", "bgr0", "bgra", "nv12", "uyvy422", "rgb48le"),
    ],
)
def test_no_sample_changes(tmp_path: Path, info: VideoInfo, pixel_format: str, size: tuple[int, int]) -> None:
    frame = noise(pixel_format, size)
    (back,) = decoded_frames(master_of([frame], info, tmp_path / "m.mkv"))
    before, after = to_plain(frame), to_plain(back)
    assert before.format.name == after.format.name
    for plane in range(len(before.planes)):
        assert np.array_equal(samples(before, plane), samples(after, plane))


@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "yuv420p10le"), ("vp9", "yuv420p")])
@pytest.mark.parametrize(("display", "light"), [(DISPLAY, (1000, 400)), (DISPLAY, None), (None, (1000, 400))])
def test_static_hdr_metadata_stays(
    tmp_path: Path,
    info: VideoInfo,
    codec: str,
    pixel_format: str,
    display: MasteringDisplay | None,
    light: tuple[int, int] | None,
) -> None:
    described = replace(info, pixel_format=pixel_format, mastering_display=display, content_light=light)
    choice = choose_encoder(described, ".mkv", EncodeSettings(codec=codec))
    frames = [noise(pixel_format, (info.width, info.height)) for _ in range(3)]
    encode_segment(frames, [False] * 3, described, choice, tmp_path / "m.mkv")
    result = probe(tmp_path / "m.mkv", "m.mkv")
    assert (result.mastering_display, result.content_light) == (display, light)
    assert [round(1000 * Fraction(each.pts or 0) * each.time_base) for each in decoded_frames(tmp_path / "m.mkv")] == [
        *range(3)
    ]
