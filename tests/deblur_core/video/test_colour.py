"""Frames to arrays and back: the luma plane as it is, RGB by the video's own matrix, range, siting and depth."""

from fractions import Fraction
from itertools import product

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deblur_core.errors import DeclinedVideoError
from deblur_core.models.registry import load_restorer
from deblur_core.models.restorer import FrameWindow
from deblur_core.restoration import full_scale_luma
from deblur_core.video.chroma import CENTRE, LEFT, TOP_LEFT, Siting, chroma_location, siting
from deblur_core.video.colour import from_rgb, luma, to_rgb
from deblur_core.video.pixel_format import samples, to_layout, to_plain

HEIGHT, WIDTH = 48, 96
# Red and blue in luma: BT.709 (3.2), FCC, BT.601 (2.5.1), SMPTE 240M, BT.2020 (table 4); green is the rest.
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
NAMES = {1: "709", 4: "fcc", 6: "601", 7: "240m", 9: "2020"}
DEPTHS = {8: "", 10: "10le", 12: "12le"}
LAYOUTS = [
    *("yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuva420p", "yuva444p10le"),
    *("yuv420p10le", "yuv422p12le", "yuv444p16le", "yuv420p10be", "gray", "gray10le", "gray12le"),
    *("gbrp", "gbrp10le", "gbrp12le", "gbrap", "rgb24", "bgr0", "bgra", "rgb48le", "rgba64le"),
    *("nv12", "uyvy422", "yuyv422", "p210le", "y210le"),
]
CASES = list(product(LUMA_WEIGHTS, (1, 2), DEPTHS))
CASE_IDS = [f"{NAMES[matrix]}-{('limited', 'full')[span - 1]}-{bits}" for matrix, span, bits in CASES]


def bars() -> NDArray[np.float64]:
    """Colour bars of 75 % and of 100 %, over each other, and a ramp from black to white: [H, W, 3] in 0..1."""
    colours = np.array([(r, g, b) for g in (1, 0) for r in (1, 0) for b in (1, 0)], np.float64)
    row = np.repeat(colours, WIDTH // 8, axis=0)[None]
    ramp = np.repeat(np.linspace(0, 1, WIDTH)[None, :, None], 3, 2)
    return np.concatenate([each.repeat(HEIGHT // 3, 0) for each in (0.75 * row, row, ramp)])


def photo() -> NDArray[np.float64]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    layers = [0.5 + 0.35 * np.sin(x / 17) + 0.1 * np.cos(y / 5), 0.5 + 0.3 * np.cos(y / 23 + x / 40), 0.2 + x / 200]
    noise = np.random.default_rng(0).normal(0, 0.02, (HEIGHT, WIDTH, 3))
    return (np.stack(layers, -1) + noise).clip(0, 1)


def coded_by_the_book(
    rgb: NDArray[np.float64], matrix: int, span: int, bits: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Y', C'B, C'R as code values, unrounded: BT.709, 3.2 to 3.5, with the weights of each matrix; full range as in
    H.273, equations 24 to 26."""
    red_weight, blue_weight = LUMA_WEIGHTS[matrix]
    red, green, blue = np.moveaxis(rgb, -1, 0)
    y = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    cb, cr = (blue - y) / (2 - 2 * blue_weight), (red - y) / (2 - 2 * red_weight)
    step, top = 2 ** (bits - 8), 2**bits - 1
    if span == 2:
        return y * top, cb * top + 128 * step, cr * top + 128 * step
    return (16 + 219 * y) * step, (128 + 224 * cb) * step, (128 + 224 * cr) * step


def shown_by_the_book(frame: av.VideoFrame) -> NDArray[np.float64]:
    """RGB in 0..1 of a 4:4:4 frame, by inverting the matrix of `coded_by_the_book` in float64."""
    matrix, span, bits = int(frame.colorspace), int(frame.color_range), frame.format.components[0].bits
    black = np.array(coded_by_the_book(np.zeros((1, 1, 3)), matrix, span, bits)).reshape(3)
    columns = [
        np.array(coded_by_the_book(unit[None, None], matrix, span, bits)).reshape(3) - black for unit in np.eye(3)
    ]
    codes = np.stack([samples(frame, plane).astype(np.float64) for plane in range(3)], -1)
    return ((codes - black) @ np.linalg.inv(np.stack(columns, -1)).T).clip(0, 1)


def framed(planes: tuple[NDArray[np.float64], ...], pixel_format: str, matrix: int, span: int) -> av.VideoFrame:
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format)
    for plane, values in enumerate(planes):
        samples(frame, plane)[:] = np.rint(values).clip(0, 2 ** frame.format.components[0].bits - 1)
    frame.colorspace, frame.color_range = matrix, span
    frame.color_primaries, frame.color_trc = 9, 16
    frame.pts, frame.time_base = 77, Fraction(1, 90000)
    return frame


def codes_off(frame: av.VideoFrame, other: av.VideoFrame) -> int:
    """The most that any sample of any plane differs."""
    left, right = to_plain(frame), to_plain(other)
    assert left.format.name == right.format.name
    planes = range(len(left.planes))
    return max(int(np.abs(samples(left, i).astype(int) - samples(right, i)).max()) for i in planes)


def tags(frame: av.VideoFrame) -> tuple[object, ...]:
    colour = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    return (*map(int, colour), frame.pts, frame.time_base, frame.format.name, frame.width, frame.height)


def noise_frame(pixel_format: str, size: tuple[int, int]) -> av.VideoFrame:
    """Every code value of the planar formats, also those beyond black and white."""
    frame = av.VideoFrame(*size, pixel_format)
    random = np.random.default_rng(1)
    if frame.format.components[0].bits > 8 and pixel_format.startswith(("yuv", "gbr", "gray")):
        for plane in range(len(frame.planes)):
            values = samples(frame, plane)
            values[:] = random.integers(0, 2 ** frame.format.components[0].bits, values.shape)
    else:
        for buffer in frame.planes:
            buffer.update(random.integers(0, 256, buffer.buffer_size, dtype=np.uint8).tobytes())
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 9, 1, 9, 16
    frame.pts, frame.time_base = 3, Fraction(1, 25)
    return frame


def with_location(frame: av.VideoFrame, location: str) -> av.VideoFrame:
    graph = av.filter.Graph()
    width, height = frame.width, frame.height
    entry = graph.add_buffer(width=width, height=height, format=frame.format, time_base=Fraction(1, 25))
    setter, sink = graph.add("setparams", f"chroma_location={location}"), graph.add("buffersink")
    entry.link_to(setter)
    setter.link_to(sink)
    graph.configure()
    graph.push(frame)
    placed = graph.pull()
    assert isinstance(placed, av.VideoFrame)
    return placed


@pytest.mark.parametrize(("matrix", "span", "bits"), CASES, ids=CASE_IDS)
def test_rgb_is_what_the_recommendation_says(matrix: int, span: int, bits: int) -> None:
    for picture in (bars(), photo()):
        frame = framed(coded_by_the_book(picture, matrix, span, bits), f"yuv444p{DEPTHS[bits]}", matrix, span)
        rgb = to_rgb(frame)
        assert rgb.dtype == (np.uint8 if bits == 8 else np.uint16)
        # Half a step of the array is rounding; the rest is float32.
        assert np.abs(rgb - shown_by_the_book(frame) * np.iinfo(rgb.dtype).max).max() <= 0.52


@pytest.mark.parametrize(("matrix", "span", "bits"), CASES, ids=CASE_IDS)
def test_samples_of_rgb_are_what_the_recommendation_says(matrix: int, span: int, bits: int) -> None:
    deep = np.uint8 if bits == 8 else np.uint16
    rgb = np.rint(photo() * np.iinfo(deep).max).astype(deep)
    planes = coded_by_the_book(rgb / np.iinfo(deep).max, matrix, span, bits)
    like = framed(planes, f"yuv444p{DEPTHS[bits]}", matrix, span)
    made = from_rgb(rgb, like)
    for plane, values in enumerate(planes):
        assert np.abs(samples(made, plane) - values.clip(0, 2**bits - 1)).max() <= 0.51
    assert tags(made) == tags(like)


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize(("matrix", "span", "bits"), CASES, ids=CASE_IDS)
def test_round_trip_of_colour_bars(matrix: int, span: int, bits: int, chroma: str) -> None:
    y, cb, cr = coded_by_the_book(bars(), matrix, span, bits)
    right, down = 1 + (chroma != "444"), 1 + (chroma == "420")
    planes = (y, cb[::down, ::right], cr[::down, ::right])
    frame = framed(planes, f"yuv{chroma}p{DEPTHS[bits]}", matrix, span)
    rgb = to_rgb(frame)
    as_restored = from_rgb(rgb, frame, before=rgb)
    assert codes_off(as_restored, frame) == 0
    assert tags(as_restored) == tags(frame)
    alone = from_rgb(rgb, frame)
    assert tags(alone) == tags(frame)
    if chroma == "444":
        assert codes_off(alone, frame) <= 1


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_change_reaches_the_samples_and_only_where_it_is(bits: int) -> None:
    frame = framed(coded_by_the_book(photo(), 1, 1, bits), f"yuv444p{DEPTHS[bits]}", 1, 1)
    before = to_rgb(frame)
    rgb = before.copy()
    # As one of 255, within black and white everywhere.
    rgb[10:30, 20:60] = before[10:30, 20:60] // 2 + np.iinfo(rgb.dtype).max // 4
    changed, whole = from_rgb(rgb, frame, before=before), from_rgb(rgb, frame)
    assert codes_off(changed, whole) <= 1
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[10:30, 20:60] = False
    for plane in range(3):
        assert np.array_equal(samples(changed, plane)[mask], samples(frame, plane)[mask])
        assert not np.array_equal(samples(changed, plane), samples(frame, plane))


def test_ten_bits_are_not_eight() -> None:
    """A grey ramp with every code value of 10 bits: none may fall on its neighbour on the way through RGB."""
    ramp = np.arange(64, 941, dtype=np.float64)[None].repeat(4, 0)
    grey = np.full_like(ramp, 512)
    frame = framed((ramp, grey, grey), "yuv444p10le", 9, 1)
    rgb = to_rgb(frame)
    assert len(np.unique(rgb[..., 0])) == 940 - 64 + 1
    assert (rgb.min(), rgb.max()) == (0, 65535)
    assert codes_off(from_rgb(rgb, frame), frame) == 0


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["single", "half"])
def test_ten_bits_stay_ten_through_a_network(precision: torch.dtype) -> None:
    """With 8 bits anywhere on the way, no channel could have more than 256 values."""
    ramp = np.linspace(300, 700, 192)[None] + np.linspace(0, 40, 64)[:, None]
    grey = np.full_like(ramp, 512)
    frame = framed((ramp, grey, grey), "yuv444p10le", 9, 1)
    rgb = to_rgb(frame)
    restorer = load_restorer("default-fast", "cpu")
    restorer.dtype = precision
    restored = restorer.restore_frame(FrameWindow(rgb, {}, [rgb]))
    assert restored.dtype == np.uint16
    assert min(len(np.unique(restored[..., channel])) for channel in range(3)) > 4 * 256
    assert len(np.unique(samples(from_rgb(restored, frame, before=rgb), 0))) > 300


@pytest.mark.parametrize("size", [(64, 48), (51, 35)], ids=["even", "odd"])
@pytest.mark.parametrize(
    "pixel_format",
    LAYOUTS,
)
def test_an_unchanged_frame_of_any_layout_and_size_comes_back_exactly(pixel_format: str, size: tuple[int, int]) -> None:
    frame = noise_frame(pixel_format, size)
    before = to_rgb(frame)
    back = from_rgb(before, frame, before=before)
    assert codes_off(back, frame) == 0
    assert tags(back) == tags(frame)
    assert np.array_equal(to_rgb(back), before)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv410p", "yuv422p10le", "yuv440p", "gray", "gbrp10le"])
def test_bands_leave_no_seams(pixel_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is converted a few rows at a time is the same as one that is converted whole."""
    frame, other = noise_frame(pixel_format, (64, 147)), noise_frame(pixel_format, (64, 147))
    samples(other, 0)[:] = samples(frame, 0)[::-1]
    whole = to_rgb(frame)
    made = from_rgb(whole, frame), from_rgb(to_rgb(other), frame, before=whole)
    monkeypatch.setattr("deblur_core.video.bands._BAND_PIXELS", 1)
    assert np.array_equal(to_rgb(frame), whole)
    in_bands = from_rgb(whole, frame), from_rgb(to_rgb(other), frame, before=whole)
    assert [codes_off(*pair) for pair in zip(made, in_bands, strict=True)] == [0, 0]


@pytest.mark.parametrize("pixel_format", ["gbrp", "gbrp10le", "gbrp12le", "rgb48le", "bgr0", "gbrap"])
def test_rgb_sources_need_no_before(pixel_format: str) -> None:
    frame = noise_frame(pixel_format, (51, 35))
    assert codes_off(from_rgb(to_rgb(frame), frame), frame) == 0


@pytest.mark.parametrize(
    ("location", "at"), [("left", LEFT), ("center", CENTRE), ("topleft", TOP_LEFT), ("top", Siting(0, 0.5))]
)
def test_siting_is_the_frames_own(location: str, at: Siting) -> None:
    """Chroma that rises by 4 a luma sample, on its own grid: on the luma's grid it must lie exactly on the line."""
    frame = av.VideoFrame(64, 48, "yuv420p10le")
    column, row = np.arange(32) * 2 + at.right, np.arange(24) * 2 + at.down
    samples(frame, 0)[:] = 500
    samples(frame, 1)[:] = np.rint(400 + 4 * column)[None]
    samples(frame, 2)[:] = np.rint(400 + 4 * row)[:, None]
    frame.colorspace, frame.color_range = 1, 2
    frame = with_location(frame, location)
    assert siting(frame) == at
    expected = av.VideoFrame(64, 48, "yuv444p10le")
    samples(expected, 0)[:] = 500
    samples(expected, 1)[:] = (400 + 4 * np.arange(64))[None]
    samples(expected, 2)[:] = (400 + 4 * np.arange(48))[:, None]
    expected.colorspace, expected.color_range = 1, 2
    inside = (slice(4, -4), slice(4, -4))
    assert np.abs(to_rgb(frame).astype(int) - to_rgb(expected))[inside].max() <= 1
    back = from_rgb(to_rgb(expected), frame)
    for plane in (1, 2):
        assert np.abs(samples(back, plane).astype(int) - samples(frame, plane))[inside].max() <= 1


@pytest.mark.parametrize("matrix", [1, 3, 8, 10, 14])
@pytest.mark.parametrize("size", [(32, 32), (1, 1), (64, 48)])
def test_asking_where_chroma_lies_changes_nothing(size: tuple[int, int], matrix: int) -> None:
    frame = noise_frame("yuv420p", size)
    frame.colorspace = matrix
    before = [bytes(plane) for plane in frame.planes], tags(frame)
    assert chroma_location(frame, "h264") == 2
    assert ([bytes(plane) for plane in frame.planes], tags(frame)) == before


@pytest.mark.parametrize("pixel_format", ["nv12", "uyvy422", "yuv420p10be", "bgr0", "p210le"])
def test_samples_move_to_another_layout_and_back(pixel_format: str) -> None:
    """Whatever the matrix: none is used."""
    for matrix in (0, 1, 8, 14):
        frame = noise_frame(pixel_format, (50, 30))
        frame.colorspace = matrix
        plain = to_plain(frame)
        back = to_layout(plain, pixel_format)
        assert codes_off(back, frame) == 0
        assert tags(back) == tags(frame)


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), 1), ((720, 576), 6)])
def test_unspecified_matrix_goes_by_size(size: tuple[int, int], matrix: int) -> None:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, value in enumerate((120, 90, 180)):
        samples(frame, plane)[:] = value
    frame.colorspace = 2
    unspecified = to_rgb(frame)
    frame.colorspace = matrix
    assert np.array_equal(unspecified, to_rgb(frame))


def test_old_full_range_formats_are_full_range() -> None:
    frame = av.VideoFrame(16, 16, "yuvj420p")
    for plane, value in enumerate((0, 128, 128)):
        samples(frame, plane)[:] = value
    assert to_rgb(frame).max() == 0
    assert np.unique(luma(from_rgb(to_rgb(frame), frame))).tolist() == [0]


@pytest.mark.parametrize(("pixel_format", "dtype"), [("yuv420p", np.uint8), ("yuv422p10le", np.uint16)])
def test_luma_is_the_decoders_plane_without_a_copy(pixel_format: str, dtype: type) -> None:
    frame = av.VideoFrame(50, 30, pixel_format)
    rows: NDArray[np.generic] = np.frombuffer(memoryview(frame.planes[0]), dtype)
    rows[:] = np.arange(rows.size) % 250
    plane = luma(frame)
    assert plane.shape == (30, 50)
    assert plane.dtype == dtype
    assert np.shares_memory(plane, rows)


@pytest.mark.parametrize("pixel_format", ["gray", "gbrp", "rgb24", "yuyv422", "gbrp10le", "p010le", "rgb48le"])
def test_luma_of_other_layouts_fills_the_same_scale(pixel_format: str) -> None:
    picture = np.full((32, 48, 3), 200, np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format, dst_color_range=2)
    plane = full_scale_luma(frame)
    assert plane.shape == (32, 48)
    assert abs(plane[5, 5] / np.iinfo(plane.dtype).max - 200 / 255) < 0.05


def test_matrix_that_is_not_linear_is_declined() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.colorspace = 10
    with pytest.raises(DeclinedVideoError, match="matrix number 10"):
        to_rgb(frame)


def test_layout_that_is_not_written_is_declined() -> None:
    frame = noise_frame("pal8", (16, 16))
    with pytest.raises(DeclinedVideoError, match="pal8"):
        from_rgb(to_rgb(frame), frame)


def test_what_does_not_fit_is_an_error() -> None:
    frame = noise_frame("yuv420p", (16, 16))
    with pytest.raises(ValueError, match="does not fit"):
        from_rgb(np.zeros((8, 16, 3), np.uint8), frame)
    with pytest.raises(ValueError, match="before"):
        from_rgb(np.zeros((16, 16, 3), np.uint8), frame, before=np.zeros((16, 16, 3), np.uint16))
