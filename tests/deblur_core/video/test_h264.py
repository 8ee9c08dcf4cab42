"""Headers of H.264 are read as they were written, and renumbered pictures decode as before."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from deblur_core.video.bits import Bits, BitstreamError, escaped, unescaped
from deblur_core.video.h264 import IDR_SLICE, kind_of, parse_header, picture_parameters, sequence_parameters
from deblur_core.video.idr_numbers import renumbered
from deblur_core.video.nal_units import framed, units
from tests.deblur_core.video.joined_clip import packets, x264_clip
from tests.media import frame_hash, frame_hashes


def extradata(clip: Path) -> bytes:
    with av.open(str(clip)) as container:
        return container.streams.video[0].codec_context.extradata or b""


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"size": (90, 50), "bframes": 0, "ref": 3}, {"coded_width": 96, "coded_height": 64, "buffered_frames": 3}),
        ({"nal_hrd": "vbr", "vbv_maxrate": 4000, "vbv_bufsize": 4000, "ref": 5}, {"buffered_frames": 5}),
        ({"cqm": "jvt", "sps_id": 7, "ref": 4, "bframes": 1}, {"number": 7, "buffered_frames": 4}),
        ({"interlaced": 1, "ref": 1, "bframes": 0}, {"frames_only": False, "coded_height": 64}),
        ({"pixel_format": "yuv444p", "bframes": 3, "b_pyramid": "none"}, {"order_type": 0}),
        ({"bframes": 0, "dpb_size": 9}, {"order_type": 2, "buffered_frames": 9}),
    ],
)
def test_a_sequence_parameter_set_says_what_the_encoder_was_told(
    tmp_path: Path, made: dict[str, Any], said: dict[str, Any]
) -> None:
    header = parse_header(extradata(x264_clip(tmp_path / "a.mp4", 6, **made)))
    found = sequence_parameters(header.sequence_sets[0])
    assert {name: getattr(found, name) for name in said} == said
    assert header.used_ids == {found.number}


def test_a_header_comes_out_as_it_went_in(tmp_path: Path) -> None:
    data = extradata(x264_clip(tmp_path / "a.mp4", 6))
    assert parse_header(data).to_bytes() == data


def test_headers_with_the_same_ids_are_not_joined(tmp_path: Path) -> None:
    header = parse_header(extradata(x264_clip(tmp_path / "a.mp4", 6)))
    with pytest.raises(BitstreamError, match="same parameter set id"):
        header.joined(header)


def test_the_joined_header_promises_no_less_than_either(tmp_path: Path) -> None:
    small = parse_header(extradata(x264_clip(tmp_path / "a.mp4", 6, level=1)))
    large = parse_header(extradata(x264_clip(tmp_path / "b.mp4", 6, level=4, sps_id=1)))
    assert small.joined(large).level == large.level > small.level
    flagged = replace(large, compatibility=0x40)
    assert replace(small, compatibility=0xC0).joined(flagged).compatibility == 0x40


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1\x67", b"\1\x64\0\x0a\xff\xe1\0\x20"])
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        parse_header(data)


def test_lengths_of_two_bytes_are_refused(tmp_path: Path) -> None:
    data = bytearray(extradata(x264_clip(tmp_path / "a.mp4", 6)))
    data[4] = 0xFD
    with pytest.raises(BitstreamError, match="four bytes"):
        parse_header(bytes(data))


def test_units_whose_lengths_do_not_add_up_are_refused() -> None:
    with pytest.raises(BitstreamError, match="not cut into NAL units"):
        list(units(b"\0\0\0\5abc"))


@pytest.mark.parametrize("payload", [b"\0\0\0\0\0\0\1", b"\0\0\3\0\0\2", b"a\0\0\4", b"\0\0\0"])
def test_escaping_hides_start_codes_and_is_undone(payload: bytes) -> None:
    assert unescaped(escaped(payload)) == payload
    assert re.search(rb"\0\0[\0-\2]", escaped(payload)) is None


def test_numbers_are_read_as_the_standard_has_them() -> None:
    """Table 9-2: 1, 010, 011, 00100 are 0, 1, 2, 3; signed 0, 1, -1, 2."""
    coded = int("1010011001001010011001000000000", 2) << 1
    bits = Bits(coded.to_bytes(4, "big"))
    assert [bits.unsigned() for _ in range(4)] == [0, 1, 2, 3]
    assert [bits.signed() for _ in range(4)] == [0, 1, -1, 2]
    with pytest.raises(BitstreamError):
        bits.unsigned()


@pytest.mark.parametrize(
    "made",
    [{"bframes": 2}, {"bframes": 0}, {"bframes": 2, "cabac": 0}, {"slices": 3, "deblock": "1,1"}, {"no_deblock": 1}],
)
def test_renumbered_pictures_decode_as_before(tmp_path: Path, made: dict[str, Any]) -> None:
    clip = x264_clip(tmp_path / "a.mp4", 12, gop=3, **made)
    header = parse_header(extradata(clip))
    decoder: Any = av.CodecContext.create("h264", "r")
    decoder.extradata = header.to_bytes()
    numbers, shown = [], []
    for _, _, data in packets(clip):
        own = [bytes(unit) for unit in units(data)]
        if IDR_SLICE in map(kind_of, own):
            own = [renumbered(unit, header) if kind_of(unit) == IDR_SLICE else unit for unit in own]
            numbers.append([idr_number(unit, header.sequence_sets[0]) for unit in own if kind_of(unit) == IDR_SLICE])
        shown += decoder.decode(av.Packet(b"".join(map(framed, own))))
    shown += decoder.decode(None)
    assert [set(each) for each in numbers] == [{65534}, {65535}, {65534}, {65535}]
    assert [frame_hash(frame) for frame in shown] == frame_hashes(clip)
    assert not any(frame.is_corrupt for frame in shown)


def idr_number(unit: bytes, sequence_set: bytes) -> int:
    """idr_pic_id, read by hand."""
    text = "".join(f"{byte:08b}" for byte in unescaped(unit[1:65]))
    for place in range(4):
        if place == 3:
            text = text[sequence_parameters(sequence_set).frame_number_bits :]
        zeros = text.index("1")
        value, text = int(text[zeros : 2 * zeros + 1], 2) - 1, text[2 * zeros + 1 :]
    return value


def test_a_picture_parameter_set_is_read(tmp_path: Path) -> None:
    for cabac in (0, 1):
        header = parse_header(extradata(x264_clip(tmp_path / f"{cabac}.mp4", 6, cabac=cabac, sps_id=3)))
        found = picture_parameters(header.picture_sets[0])
        assert (found.number, found.is_arithmetic, found.has_deblocking) == (3, bool(cabac), True)
