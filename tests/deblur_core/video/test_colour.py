"""Frames to arrays and back: the luma plane as it is, RGB by the video's own matrix and range."""

from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from deblur_core.errors import DeclinedVideoError
from deblur_core.video.colour import from_rgb, luma, to_rgb

HEIGHT, WIDTH = 96, 160
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def colour_bars() -> NDArray[np.uint8]:
    colours = [(r, g, b) for g in (255, 0) for r in (255, 0) for b in (255, 0)]
    return np.repeat(np.array(colours, np.uint8), WIDTH // 8, axis=0)[None].repeat(HEIGHT, 0)


def photo_like() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    layers = [128 + 90 * np.sin(x / 17) + 20 * np.cos(y / 5), 128 + 80 * np.cos(y / 23 + x / 40), 60 + x / 2]
    noise = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 3))
    return (np.stack(layers, -1) + noise).clip(0, 255).astype(np.uint8)


def encoded_by_the_book(rgb: NDArray[np.uint8], matrix: int, color_range: int, bits: int) -> av.VideoFrame:
    """A 4:4:4 frame by the formulas of BT.601, BT.709 and BT.2020, computed in floating point."""
    red_weight, blue_weight = LUMA_WEIGHTS[matrix]
    red, green, blue = np.moveaxis(rgb / 255, -1, 0)
    y = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    cb, cr = (blue - y) / (2 - 2 * blue_weight), (red - y) / (2 - 2 * red_weight)
    step, top = 2 ** (bits - 8), 2**bits - 1
    if color_range == 2:
        planes = [y * top, cb * top + 128 * step, cr * top + 128 * step]
    else:
        planes = [(16 + 219 * y) * step, (128 + 224 * cb) * step, (128 + 224 * cr) * step]
    dtype = np.uint8 if bits == 8 else np.uint16
    stacked = np.stack([np.rint(plane).clip(0, top).astype(dtype) for plane in planes])
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv444p" if bits == 8 else "yuv444p10le")
    for plane, samples in zip(frame.planes, stacked, strict=True):
        rows = np.frombuffer(memoryview(plane), dtype).reshape(HEIGHT, -1)
        rows[:, :WIDTH] = samples
    frame.colorspace, frame.color_range = matrix, color_range
    frame.color_primaries, frame.color_trc = 9, 16
    frame.pts, frame.time_base = 77, Fraction(1, 90000)
    return frame


def samples(frame: av.VideoFrame) -> NDArray[np.int64]:
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    planes = [np.frombuffer(memoryview(plane), dtype).reshape(HEIGHT, -1)[:, :WIDTH] for plane in frame.planes]
    return np.stack(planes).astype(np.int64)


@pytest.mark.parametrize("picture", [colour_bars(), photo_like()], ids=["bars", "photo"])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6, 9], ids=["709", "601", "2020"])
def test_there_and_back_keeps_every_sample_and_tag(
    matrix: int, color_range: int, bits: int, picture: NDArray[np.uint8]
) -> None:
    frame = encoded_by_the_book(picture, matrix, color_range, bits)
    rgb = to_rgb(frame)
    back = from_rgb(rgb, frame)
    assert np.abs(rgb / (2 ** (8 * rgb.itemsize) - 1) * 255 - picture).max() <= 2
    # swscale is one 8-bit code value off in full range, three of 1023 at 10 bits; limited range is exact.
    assert np.abs(samples(back) - samples(frame)).max() <= (1 if bits == 8 else 3)
    assert (back.colorspace, back.color_range, back.color_primaries, back.color_trc) == (matrix, color_range, 9, 16)
    assert (back.pts, back.time_base, back.format.name) == (77, Fraction(1, 90000), frame.format.name)


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), 1), ((720, 576), 6)])
def test_unspecified_matrix_goes_by_size(size: tuple[int, int], matrix: int) -> None:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, value in zip(frame.planes, (120, 90, 180), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace = 2
    unspecified = to_rgb(frame)
    frame.colorspace = matrix
    assert np.array_equal(unspecified, to_rgb(frame))


def test_old_full_range_formats_are_full_range() -> None:
    frame = av.VideoFrame(16, 16, "yuvj420p")
    for plane, value in zip(frame.planes, (0, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    assert to_rgb(frame).max() == 0
    assert samples_of_luma(from_rgb(to_rgb(frame), frame)) == {0}


def samples_of_luma(frame: av.VideoFrame) -> set[int]:
    return set(np.unique(luma(frame)).tolist())


@pytest.mark.parametrize(("pixel_format", "dtype"), [("yuv420p", np.uint8), ("yuv422p10le", np.uint16)])
def test_luma_is_the_decoders_plane_without_a_copy(pixel_format: str, dtype: type) -> None:
    frame = av.VideoFrame(50, 30, pixel_format)
    rows: NDArray[np.generic] = np.frombuffer(memoryview(frame.planes[0]), dtype)
    rows[:] = np.arange(rows.size) % 250
    plane = luma(frame)
    assert plane.shape == (30, 50)
    assert plane.dtype == dtype
    assert np.shares_memory(plane, rows)


@pytest.mark.parametrize("pixel_format", ["gray", "gbrp", "rgb24", "yuyv422"])
def test_luma_of_other_layouts_is_converted(pixel_format: str) -> None:
    picture = np.full((32, 48, 3), 200, np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format, dst_color_range=2)
    plane = luma(frame)
    assert plane.shape == (32, 48)
    assert abs(int(plane[5, 5]) - 200) <= 12


def test_matrix_that_is_not_linear_is_declined() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.colorspace = 10
    with pytest.raises(DeclinedVideoError, match="matrix number 10"):
        to_rgb(frame)
