"""Headers of HEVC are read as they were written, and pictures with other ids decode as before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.video import hevc
from deblur_core.video.bits import BitstreamError
from deblur_core.video.hevc import Header, parse_header, sequence_parameters
from deblur_core.video.hevc_ids import FreeIds, free_ids, is_slice, renamed_header, renamed_slice
from deblur_core.video.independent_gops import GopWatch
from deblur_core.video.joining import joining_of
from deblur_core.video.nal_units import framed, started, started_units, units
from tests.deblur_core.video.joined_clip import packets, x265_clip
from tests.media import frame_hash, frame_hashes

SETS = (hevc.VPS, hevc.SPS, hevc.PPS)


def extradata(clip: Path) -> bytes:
    with av.open(str(clip)) as container:
        return container.streams.video[0].codec_context.extradata or b""


@pytest.fixture
def header(tmp_path: Path) -> Header:
    return parse_header(extradata(x265_clip(tmp_path / "header.mp4", 6)))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"size": (90, 50), "bframes": 0, "min_cu_size": 8}, {"coded_width": 96, "coded_height": 56}),
        ({"size": (90, 50), "min_cu_size": 32}, {"coded_width": 96, "coded_height": 64, "smallest_block": 32}),
        ({"bframes": 4, "ref": 5}, {"number": 0, "is_cropped_at_start": False}),
        ({"temporal_layers": 2, "bframes": 3}, {"sublayers": 2}),
        ({"display_window": "8,8,0,0", "overscan": "crop"}, {"coded_width": 96, "sublayers": 1}),
        ({"pixel_format": "yuv444p"}, {"coded_width": 96, "coded_height": 64}),
    ],
)
def test_a_sequence_parameter_set_says_what_the_encoder_was_told(
    tmp_path: Path, made: dict[str, Any], said: dict[str, Any]
) -> None:
    header = parse_header(extradata(x265_clip(tmp_path / "a.mp4", 6, **made)))
    found = sequence_parameters(header.of_kind(hevc.SPS)[0])
    assert {name: getattr(found, name) for name in said} == said
    assert [header.used_ids(kind) for kind in SETS] == [{0}, {0}, {0}]


def test_a_header_comes_out_as_it_went_in(tmp_path: Path) -> None:
    data = extradata(x265_clip(tmp_path / "a.mp4", 6))
    assert parse_header(data).to_bytes() == data


@pytest.mark.parametrize(
    "made",
    [{"bframes": 2}, {"bframes": 0, "hash": 1}, {"pixel_format": "yuv420p10le"}, {"open_gop": 1, "bframes": 3}],
)
def test_pictures_with_other_ids_decode_as_before(tmp_path: Path, made: dict[str, Any]) -> None:
    clip = x265_clip(tmp_path / "a.mp4", 12, gop=4, **made)
    ids = FreeIds(3, 7, 29)
    renamed = renamed_header(extradata(clip), ids, 5)
    assert [renamed.used_ids(kind) for kind in SETS] == [{3}, {7}, {29}]
    assert sequence_parameters(renamed.of_kind(hevc.SPS)[0]).buffered_frames == 5
    decoder: Any = av.CodecContext.create("hevc", "r")
    decoder.extradata = renamed.to_bytes()
    decoder.options = {"err_detect": "crccheck+explode"}
    shown = []
    for _, _, data in packets(clip):
        own = [renamed_slice(unit, ids) if is_slice(unit) else bytes(unit) for unit in units(data)]
        shown += decoder.decode(av.Packet(b"".join(map(framed, own))))
    shown += decoder.decode(None)
    assert [frame_hash(frame) for frame in shown] == frame_hashes(clip)
    assert not any(frame.is_corrupt for frame in shown)


def test_a_slice_keeps_its_data_and_hides_start_codes() -> None:
    """An IDR slice: first in its picture, no flag for prior pictures, picture parameters 0, then a byte's rest of ones
    and data with zeros."""
    unit = bytes([19 << 1, 1, 0b1011_1111]) + b"\0\0\3\0ab\0\0\3"
    renamed = renamed_slice(unit, FreeIds(1, 1, 15))
    assert renamed[:2] == unit[:2]
    # 10, then 000010000 for 15, then what was behind the old id.
    assert renamed[2:] == bytes([0b1000_0010, 0b0001_1111]) + b"\0\0\3\0ab\0\0\3"


def test_what_the_encoder_does_not_usually_write_is_refused(header: Header) -> None:
    ids = free_ids(header)
    with pytest.raises(BitstreamError, match="other picture parameters"):
        renamed_slice(bytes([1 << 1, 1, 0b1010_0000]), ids)
    with pytest.raises(BitstreamError, match="no slice"):
        renamed_slice(header.of_kind(hevc.SPS)[0], ids)
    with pytest.raises(BitstreamError, match="not as it usually writes"):
        renamed_header(replace(header, arrays=header.arrays[:2]).to_bytes(), ids, 1)


def test_ids_are_free_ones(header: Header) -> None:
    assert free_ids(header) == FreeIds(1, 1, 15)
    other = renamed_header(header.to_bytes(), FreeIds(1, 1, 15), 1)
    assert free_ids(header.joined(other)) == FreeIds(2, 2, 16)
    full = header
    for number in range(1, 16):
        full = full.joined(renamed_header(header.to_bytes(), FreeIds(number, number, 14 + number), 1))
    with pytest.raises(BitstreamError, match="no parameter set id free"):
        free_ids(full)


def test_headers_with_the_same_ids_or_a_larger_profile_are_not_joined(header: Header, tmp_path: Path) -> None:
    with pytest.raises(BitstreamError, match="same parameter set id"):
        header.joined(header)
    deep = parse_header(extradata(x265_clip(tmp_path / "deep.mp4", 6, pixel_format="yuv420p10le")))
    with pytest.raises(BitstreamError, match="profile is 2, the source's 1"):
        joining_of("hevc", header.to_bytes(), deep.to_bytes())
    assert parse_header(joining_of("hevc", deep.to_bytes(), header.to_bytes()).header).profile == 2


def test_the_joined_header_promises_no_less_than_either(header: Header) -> None:
    other = renamed_header(header.to_bytes(), FreeIds(1, 1, 15), 1)
    fixed = bytearray(other.fixed)
    fixed[1] |= 0x20
    fixed[2], fixed[12], fixed[15] = 0x20, 186, fixed[15] ^ 1
    joined = header.joined(replace(other, fixed=bytes(fixed)))
    assert joined.fixed[1] == header.fixed[1] | 0x20
    assert joined.fixed[2] == header.fixed[2] & 0x20
    assert joined.fixed[12] == 186
    assert joined.fixed[15] & 3 == 0
    assert [len(joined.of_kind(kind)) for kind in SETS] == [2, 2, 2]


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1\x40", b"\1" + bytes(20)])
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_header(data)


def test_cut_or_otherwise_framed_headers_are_refused(header: Header) -> None:
    data = header.to_bytes()
    with pytest.raises(BitstreamError, match="cut short"):
        parse_header(data[:-3])
    with pytest.raises(BitstreamError, match="four bytes"):
        parse_header(data[:21] + bytes([data[21] & 0xFC | 1]) + data[22:])
    with pytest.raises(BitstreamError, match="cut short"):
        sequence_parameters(header.of_kind(hevc.SPS)[0][:8])


def test_messages_are_told_by_their_kinds() -> None:
    unit = bytes([39 << 1, 1]) + b"\x89\2ab" + b"\xff\x01\1c" + b"\4\0" + b"\x80"
    assert list(hevc.message_kinds(unit)) == [137, 256, 4]


def test_the_encoders_lasting_messages_stand_in_for_those_the_source_has_not(header: Header) -> None:
    display, light = (bytes([39 << 1, 1, kind, 1, 7, 0x80]) for kind in (137, 144))
    arrays = (hevc.complete_array(hevc.PREFIX_SEI, [display, light]),)
    own = replace(header, arrays=header.arrays + arrays)
    said = replace(header, arrays=(*header.arrays, hevc.complete_array(hevc.PREFIX_SEI, [display])))
    joined = parse_header(joining_of("hevc", said.to_bytes(), own.to_bytes()).header)
    assert light in joined.of_kind(hevc.PREFIX_SEI)
    assert joined.of_kind(hevc.PREFIX_SEI).count(display) == 1


def unit(kind: int, layer: int = 0) -> bytes:
    return framed(bytes([kind << 1 | layer >> 5, (layer & 31) << 3 | 1, 0x80]))


def watched(header: Header, kinds: list[list[int]]) -> tuple[np.ndarray | None, str | None]:
    watch = GopWatch("hevc", header.to_bytes())
    for each in kinds:
        watch.see(av.Packet(b"".join(unit(kind) for kind in each)), True)
    return watch.numbers(np.arange(len(kinds))), watch.hindrance


@pytest.mark.parametrize(
    ("kinds", "numbers", "back"),
    [
        ([[20], [1], [20], [1]], [0, 0, 1, 1], []),
        ([[20], [1], [21], [1], [21], [9], [7], [1], [20], [7]], [0, 0, 1, 1, 2, 2, 2, 2, 3, 3], [5, 6]),
        ([[20], [21], [8], [21], [6], [18], [1]], [0, 1, 1, 2, 2, 3, 3], [2]),
        ([[19], [7], [17], [6], [1]], [0, 0, 1, 1, 1], []),
        ([[20], [1, 36], [21], [1], [21], [9]], [0, 0, 1, 1, 2, 2], [5]),
        ([[35, 39, 21, 40], [1]], [0, 0], []),
    ],
)
def test_gops_begin_at_random_access_points_and_what_refers_to_the_one_before_is_known(
    header: Header, kinds: list[list[int]], numbers: list[int], back: list[int]
) -> None:
    watch = GopWatch("hevc", header.to_bytes())
    for each in kinds:
        watch.see(av.Packet(b"".join(unit(kind) for kind in each)), True)
    order = np.arange(len(kinds))
    found = watch.numbers(order)
    assert found is not None
    assert found.tolist() == numbers
    assert np.flatnonzero(watch.refers_back(order)).tolist() == back


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        ([[20], [16], [8]], "never shown"),
        ([[20], [1, 36], [21], [9]], "never shown"),
        ([[20], [1], [37], [21], [9]], "never shown"),
        ([[22]], "type 22"),
        ([[20], [33, 1]], "not those of its header"),
    ],
)
def test_what_keeps_all_gops_from_staying_is_said(header: Header, kinds: list[list[int]], reason: str) -> None:
    found, hindrance = watched(header, kinds)
    assert found is None
    assert reason in str(hindrance)


def test_in_transport_streams_a_cra_picture_starts_nothing(header: Header) -> None:
    """The units of an end of sequence before it would be taken for a part of its packet."""
    sets = [unit for kind in SETS for unit in header.of_kind(kind)]
    watch = GopWatch("hevc", b"".join(map(started, sets)))
    for kind in (20, 1, 21, 1, 20):
        own = sets if kind > 1 else []
        picture = bytes([kind << 1, 1, 0x80])
        watch.see(av.Packet(b"".join(map(started, [hevc.delimiter(), *own, picture]))), True)
    numbers = watch.numbers(np.arange(5))
    assert numbers is not None
    assert numbers.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("units_of_first", "reason"),
    [
        ([hevc.VPS, hevc.SPS, hevc.PPS], "without the delimiters"),
        ([hevc.DELIMITER, hevc.VPS, hevc.SPS], "does not repeat its parameter sets"),
    ],
)
def test_what_a_transport_stream_must_repeat_is_asked_for(
    header: Header, units_of_first: list[int], reason: str
) -> None:
    sets = {kind: header.of_kind(kind)[0] for kind in SETS} | {hevc.DELIMITER: hevc.delimiter()}
    watch = GopWatch("hevc", b"".join(started(sets[kind]) for kind in SETS))
    watch.see(av.Packet(b"".join(map(started, [*(sets[kind] for kind in units_of_first), b"\x28\1\x80"]))), True)
    assert watch.numbers(np.array([0])) is None
    assert reason in str(watch.hindrance)


def test_a_header_of_start_codes_says_what_its_sequence_parameters_say(header: Header) -> None:
    sets = [unit for kind in SETS for unit in header.of_kind(kind)]
    found = parse_header(b"\0" + b"".join(map(started, sets)))
    assert found.fixed[1:13] == header.fixed[1:13]
    assert [found.of_kind(kind) for kind in SETS] == [header.of_kind(kind) for kind in SETS]
    with pytest.raises(BitstreamError):
        parse_header(started(sets[0]))


def test_units_between_start_codes_come_without_the_zeros_around_them() -> None:
    data = b"\0\0\0\1ab\0\0\0\0\1c\0\0\3d\0\0\1e\0"
    assert [bytes(unit) for unit in started_units(data)] == [b"ab", b"c\0\0\3d", b"e"]
    with pytest.raises(BitstreamError, match="begin with a start code"):
        list(started_units(b"a\0\0\1b"))


def test_further_layers_keep_all_gops_from_staying(header: Header) -> None:
    watch = GopWatch("hevc", header.to_bytes())
    watch.see(av.Packet(unit(20) + unit(1, layer=1)), True)
    assert watch.numbers(np.array([0])) is None
    assert "several layers" in str(watch.hindrance)
