"""What keeps GOPs from staying is said, and a result in which one did not stay is found out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_core.errors import VerificationError
from deblur_core.video.bits import BitstreamError
from deblur_core.video.carried_check import compare_carried
from deblur_core.video.carried_packets import CarriedFrames, joined_packets
from deblur_core.video.encode import choose_encoder
from deblur_core.video.h264 import Header, SequenceParameters, parse_header, sequence_parameters
from deblur_core.video.independent_gops import GopWatch
from deblur_core.video.index import index_video
from deblur_core.video.nal_units import framed
from deblur_core.video.probe import probe
from deblur_core.video.untouched_gops import hindrance
from tests.deblur_core.video.joined_clip import joined, packets, x264_clip
from tests.deblur_core.video.whole_path import rebuilt
from tests.media import make_clip


def test_a_video_that_was_encoded_as_a_whole_does_not_pass_for_one_that_was_not(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", size=(96, 64))
    out, _, index, _ = rebuilt(clip, tmp_path)
    with pytest.raises(VerificationError, match="parameter sets of its source"):
        compare_carried(clip, out, index, np.ones(48, bool), True, "a.mp4")


@pytest.mark.parametrize(("stay", "named"), [(range(48), 13), ([0, 17], 17)])
def test_a_gop_that_was_to_stay_and_did_not_is_named(tmp_path: Path, stay: list[int], named: int) -> None:
    result = joined(x264_clip(tmp_path / "a.mp4", bframes=0), [13])
    marks = np.isin(np.arange(48), stay)
    with pytest.raises(VerificationError, match=f"frame {named} was to stay byte for byte"):
        compare_carried(result.source, result.out, result.index, marks, True, "a.mp4")


def test_other_decoding_times_are_named(tmp_path: Path) -> None:
    clip = x264_clip(tmp_path / "a.mp4", bframes=2)
    other = x264_clip(tmp_path / "b.mp4", bframes=2, times=[3750 * n + 100 * (n > 20) for n in range(48)])
    with pytest.raises(VerificationError, match="decoded at"):
        compare_carried(clip, other, index_video(clip, "a"), np.zeros(48, bool), True, "a.mp4")


@pytest.mark.parametrize(("frames", "message"), [(47, "has 47 packets"), (49, "more packets")])
def test_other_numbers_of_packets_are_named(tmp_path: Path, frames: int, message: str) -> None:
    clip, other = x264_clip(tmp_path / "a.mp4", bframes=0), x264_clip(tmp_path / "b.mp4", frames, bframes=0)
    with pytest.raises(VerificationError, match=message):
        compare_carried(clip, other, index_video(clip, "a"), np.zeros(48, bool), True, "a.mp4")


def test_parts_that_hold_too_little_are_noticed(tmp_path: Path) -> None:
    result = joined(x264_clip(tmp_path / "a.mp4", bframes=0), [13])
    fewer = CarriedFrames(result.stay & (np.arange(48) >= 6), result.source)
    with pytest.raises(VerificationError, match="hold 5 frames, the video 11"):
        list(joined_packets(result.parts, fewer, result.info, result.index, {}, True, "a"))
    more = CarriedFrames(np.ones(48, bool), result.source)
    with pytest.raises(VerificationError, match="more than the 0 frames"):
        list(joined_packets(result.parts, more, result.info, result.index, {}, True, "a"))


def test_a_decoder_need_not_be_set_up_anew_for_what_was_encoded(tmp_path: Path) -> None:
    clip = x264_clip(tmp_path / "a.mp4", bframes=5, b_pyramid="normal", ref=4, gop=12, size=(90, 50))
    with av.open(str(joined(clip, [13]).out)) as container:
        header = parse_header(container.streams.video[0].codec_context.extradata or b"")
    source, own = (sequence_parameters(unit) for unit in header.sequence_sets)
    assert source.number != own.number
    what: Callable[[SequenceParameters], tuple[int, ...]] = lambda of: (  # noqa: E731
        of.coded_width,
        of.coded_height,
        of.buffered_frames,
    )
    assert what(source) == what(own) == (96, 64, 4)


@pytest.fixture
def header(tmp_path: Path) -> Header:
    return parse_header(probe(x264_clip(tmp_path / "header.mp4", 6), "a").extradata)


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (b"\x67\x64\0\x0a", "not those of its header"),
        (b"\x74\1", "NAL units of type 20"),
        (b"\x42\1", "NAL units of type 2"),
    ],
)
def test_units_beside_the_pictures_may_keep_all_gops_from_staying(header: Header, unit: bytes, reason: str) -> None:
    watch = GopWatch("h264", header.to_bytes())
    watch.see(av.Packet(framed(header.sequence_sets[0]) + framed(b"\x65\x88")), True)
    assert np.array_equal(watch.numbers(np.array([0])), [0])
    watch.see(av.Packet(framed(unit) + framed(b"\x65\x88")), True)
    assert watch.numbers(np.array([0, 1])) is None
    assert watch.hindrance is not None
    assert reason in watch.hindrance


def test_gops_that_overlap_in_time_keep_all_from_staying(header: Header) -> None:
    watch = GopWatch("h264", header.to_bytes())
    for _ in range(2):
        watch.see(av.Packet(framed(b"\x65\x88")), True)
        watch.see(av.Packet(framed(b"\x41\x88")), True)
    assert watch.numbers(np.array([0, 2, 1, 3])) is None
    assert "another order" in str(watch.hindrance)


def test_a_header_with_more_than_the_encoder_can_match_is_a_reason(tmp_path: Path) -> None:
    clip = x264_clip(tmp_path / "a.mp4", 12)
    info, index = probe(clip, "a"), index_video(clip, "a")
    choice = choose_encoder(info, ".mp4")
    header = parse_header(info.extradata)
    two = replace(header, sequence_sets=header.sequence_sets * 2)
    other = replace(header, profile=88)
    said = {
        "2 sequence parameter sets": replace(info, extradata=two.to_bytes()),
        "profile 88": replace(info, extradata=other.to_bytes()),
        "cut out of larger ones": replace(info, width=info.width - 16),
        "carries HDR10+": replace(info, dynamic_metadata=("HDR10+",)),
    }
    for words, changed in said.items():
        assert words in str(hindrance(changed, index, choice, "mp4"))
    assert "decoding times" in str(hindrance(info, replace(index, boundary_dts=(None,)), choice, "mp4"))
    assert hindrance(info, index, choice, "mp4") is None


def test_the_packets_that_stay_are_signed_by_their_own_encoder_alone(tmp_path: Path) -> None:
    """FFmpeg tells old versions of x264 by the message that they leave in their first packet."""
    clip = x264_clip(tmp_path / "a.mp4")
    result = joined(clip, [0])
    signed = [b"x264 - core" in data for _, _, data in packets(result.out)]
    assert signed == [True] + [False] * 47
    assert b"keyint=6 " in packets(result.out)[0][2]


def test_a_cut_unit_is_no_parameter_set(header: Header) -> None:
    with pytest.raises(BitstreamError, match="cut short"):
        sequence_parameters(header.sequence_sets[0][:6])
