"""HEVC: GOPs without a restored frame keep every byte; what is put between them plays, seeks and keeps its times."""

from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.errors import VerificationError
from deblur_core.video import hevc
from deblur_core.video.carried_check import compare_carried
from deblur_core.video.carried_packets import CarriedFrames, joined_packets
from deblur_core.video.encoded_check import EncodedCheck
from deblur_core.video.index import index_video
from deblur_core.video.nal_units import framed, units
from deblur_core.video.picture_metadata import PictureMetadata
from tests.deblur_core.video.joined_clip import (
    decoder_messages,
    joined,
    packets,
    sought_hashes,
    why_not,
    x265_clip,
)
from tests.media import decoded_frames, frame_hashes, frame_times, make_clip, odd_clips

KINDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {"bframes": 0},
    "hev1.mp4": {"bframes": 3, "tag": "hev1", "repeat_headers": 1},
    "pyramid.mov": {"bframes": 4, "gop": 12, "ref": 4, "tag": "hvc1"},
    "main10.mp4": {"pixel_format": "yuv420p10le", "bframes": 2},
    "cropped.mp4": {"size": (104, 72), "bframes": 2, "min_cu_size": 32},
    "cropped_less.mp4": {"size": (104, 72), "bframes": 2, "min_cu_size": 8},
    "delimited.mp4": {"aud": 1, "hash": 1, "bframes": 2},
    "buffered.mp4": {"hrd": 1, "vbv_maxrate": 4000, "vbv_bufsize": 4000, "bframes": 2},
    "layered.mp4": {"temporal_layers": 2, "bframes": 3, "b_adapt": 0},
    "variable.mp4": {"times": np.cumsum([3750 + 2111 * (n % 5 == 4) for n in range(48)]).tolist(), "bframes": 2},
    "matroska.mkv": {"bframes": 4, "gop": 12, "pixel_format": "yuv420p10le"},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_byte_of_the_other_gops_stays(tmp_path: Path, name: str) -> None:
    clip = x265_clip(tmp_path / name, **KINDS[name])
    gop = KINDS[name].get("gop", 6)
    result = joined(clip, [12, 13])
    first, stop = 12, 13 // gop * gop + gop
    assert np.flatnonzero(~result.stay).tolist() == list(range(first, stop))
    before, after = packets(clip), packets(result.out)
    same = [old[2] == new[2] for old, new in zip(before, after, strict=True)]
    assert same == [not first <= place < stop for place in range(48)]
    if clip.suffix != ".mkv":
        assert [dts for _, dts, _ in after] == [dts for _, dts, _ in before]
    assert frame_times(result.out) == frame_times(clip)
    old, new = frame_hashes(clip), frame_hashes(result.out)
    assert [place for place in range(48) if old[place] != new[place] and not first <= place < stop] == []
    assert old[13] != new[13]
    assert new[first:stop] == frame_hashes(result.parts[0])
    assert decoder_messages(result.out) == []
    with av.open(str(clip)) as one, av.open(str(result.out)) as other:
        assert one.streams.video[0].codec_context.codec_tag == other.streams.video[0].codec_context.codec_tag


@pytest.mark.parametrize("name", ["pyramid.mov", "matroska.mkv"])
def test_seeking_to_any_frame_shows_that_frame(tmp_path: Path, name: str) -> None:
    result = joined(x265_clip(tmp_path / name, **KINDS[name]), [0, 13, 47])
    linear = frame_hashes(result.out)
    assert 12 <= result.stay.sum() <= 45
    order = np.random.default_rng(0).permutation(48)
    assert sought_hashes(result.out, result.index.pts[order]) == [linear[number] for number in order]


@pytest.mark.parametrize("restored", [[0], [47], [3, 14, 40], range(6, 48)])
def test_any_gop_may_be_the_one_that_is_encoded(tmp_path: Path, restored: list[int]) -> None:
    clip = x265_clip(tmp_path / "a.mp4", bframes=3, gop=6)
    result = joined(clip, restored, segment_frames=12)
    begins = {gop: min(number for number in restored if number // 6 == gop) for gop in {n // 6 for n in restored}}
    for number in range(48):
        if number // 6 not in begins:
            assert result.stay[number]
        elif number >= begins[number // 6]:
            assert not result.stay[number]
    old, new = frame_hashes(clip), frame_hashes(result.out)
    assert {number for number in range(48) if old[number] != new[number]} >= set(restored)
    assert decoder_messages(result.out) == []


@pytest.mark.parametrize(
    ("restored", "encoded"),
    [([10], range(9, 16)), ([14], range(13, 16)), ([16], range(13, 24)), ([0], range(8)), ([47], range(45, 48))],
)
def test_of_an_open_gop_only_what_leads_in_the_next_is_encoded_too(
    tmp_path: Path, restored: list[int], encoded: range
) -> None:
    """CRA pictures every 8 frames from 8 on, each with three leading pictures that refer to what came before it."""
    clip = x265_clip(tmp_path / "a.mp4", open_gop=1, bframes=3, b_adapt=0, gop=8)
    index = index_video(clip, "a.mp4")
    assert index.refers_back is not None
    assert np.flatnonzero(index.refers_back)[:6].tolist() == [5, 6, 7, 13, 14, 15]
    result = joined(clip, restored)
    assert np.flatnonzero(~result.stay).tolist() == list(encoded)
    before, after = ({pts: data for pts, _, data in packets(path)} for path in (clip, result.out))
    assert [before[pts] == after[pts] for pts in index.pts] == result.stay.tolist()
    assert [dts for _, dts, _ in packets(result.out)] == [dts for _, dts, _ in packets(clip)]
    old, new = frame_hashes(clip), frame_hashes(result.out)
    assert [place for place in np.flatnonzero(result.stay) if old[place] != new[place]] == []
    assert frame_times(result.out) == frame_times(clip)
    assert decoder_messages(result.out) == []
    wanted = np.setdiff1d(np.arange(48), np.flatnonzero(index.refers_back & result.stay))
    assert sought_hashes(result.out, index.pts[wanted]) == [new[number] for number in wanted]


def test_open_gops_in_matroska(tmp_path: Path) -> None:
    clip = x265_clip(tmp_path / "a.mkv", open_gop=1, bframes=3, b_adapt=0, gop=8)
    result = joined(clip, [10, 34])
    assert np.flatnonzero(~result.stay).tolist() == [*range(9, 16), *range(33, 40)]
    assert frame_times(result.out) == frame_times(clip)
    assert decoder_messages(result.out) == []


def test_a_cra_picture_without_leading_pictures_is_closed_and_starts_anew(tmp_path: Path) -> None:
    clip = x265_clip(tmp_path / "a.mp4", open_gop=1, bframes=0)
    assert set(kinds_of_pictures(clip)[6::6]) == {hevc.CRA}
    result = joined(clip, [14])
    assert np.flatnonzero(~result.stay).tolist() == [14, 15, 16, 17]
    ends = [hevc.END_OF_SEQUENCE in map(hevc.kind_of, units(data)) for _, _, data in packets(result.out)]
    assert np.flatnonzero(ends).tolist() == [17]
    linear = frame_hashes(result.out)
    assert sought_hashes(result.out, result.index.pts) == linear
    assert decoder_messages(result.out) == []


def test_a_broken_link_starts_anew_by_itself(tmp_path: Path) -> None:
    """Every CRA picture called BLA_N_LP, as where recordings were cut and joined."""
    plain = x265_clip(tmp_path / "plain.mp4", open_gop=1, bframes=0)

    def broken(_: int, packet: av.Packet) -> av.Packet:
        own = [bytes(unit) for unit in units(memoryview(packet))]
        own = [bytes([18 << 1]) + unit[1:] if hevc.kind_of(unit) == hevc.CRA else unit for unit in own]
        return odd_clips.replaced(packet, b"".join(map(framed, own)))

    clip = odd_clips.rewritten(plain, tmp_path / "a.mp4", broken, options={"movie_timescale": "90000"})
    result = joined(clip, [14])
    assert np.flatnonzero(~result.stay).tolist() == [14, 15, 16, 17]
    assert decoder_messages(result.out) == []


def test_leading_pictures_that_refer_to_nothing_before_keep_a_gop_closed(tmp_path: Path) -> None:
    clip = x265_clip(tmp_path / "a.mp4", radl=2, bframes=3, gop=8)
    assert 7 in kinds_of_pictures(clip)
    result = joined(clip, [15])
    encoded = np.flatnonzero(~result.stay)
    assert 13 <= encoded[0] <= 15
    assert encoded[-1] < 30
    assert decoder_messages(result.out) == []


def kinds_of_pictures(clip: Path) -> list[int]:
    """nal_unit_type of each picture in decoding order."""
    return [min(hevc.kind_of(unit) for unit in units(data)) for _, _, data in packets(clip)]


def test_a_decoder_need_not_be_set_up_anew_for_what_was_encoded(tmp_path: Path) -> None:
    clip = x265_clip(tmp_path / "a.mp4", bframes=4, ref=5, gop=12, size=(104, 72), min_cu_size=32)
    with av.open(str(joined(clip, [13]).out)) as container:
        header = hevc.parse_header(container.streams.video[0].codec_context.extradata or b"")
    source, own = (hevc.sequence_parameters(unit) for unit in header.of_kind(hevc.SPS))
    assert source.number != own.number
    assert (source.coded_width, source.coded_height) == (own.coded_width, own.coded_height) == (128, 96)
    assert source.buffered_frames == own.buffered_frames >= 4


def test_an_untouched_frame_that_starts_a_gop_amid_restored_ones_is_as_fine_as_others(tmp_path: Path) -> None:
    clip = x265_clip(tmp_path / "a.mp4", bframes=3, b_adapt=0, gop=6)
    result = joined(clip, [*range(6, 12), 15])
    assert np.flatnonzero(~result.stay).tolist() == [*range(6, 12), *range(13, 18)]
    assert lowest_psnr(result.source, result.out, range(13, 15)) > 50


def lowest_psnr(one: Path, other: Path, frames: range) -> float:
    with av.open(str(one)) as a, av.open(str(other)) as b:
        pairs = list(zip(a.decode(video=0), b.decode(video=0), strict=True))
    errors = [np.mean((pairs[n][0].to_ndarray().astype(float) - pairs[n][1].to_ndarray()) ** 2) for n in frames]
    return float(10 * np.log10(255**2 / max(errors)))


def test_a_gop_that_was_to_stay_and_did_not_is_named(tmp_path: Path) -> None:
    result = joined(x265_clip(tmp_path / "a.mp4", bframes=0), [13])
    with pytest.raises(VerificationError, match="frame 13 was to stay byte for byte"):
        compare_carried(result.source, result.out, result.index, np.ones(48, bool), True, "a.mp4")
    with pytest.raises(VerificationError, match="parameter sets of its source"):
        compare_carried(result.out, result.source, result.index, np.zeros(48, bool), True, "a.mp4")


def test_what_describes_an_encoded_picture_stands_around_it_and_before_the_end_of_its_sequence(tmp_path: Path) -> None:
    result = joined(x265_clip(tmp_path / "a.mp4", open_gop=1, bframes=0), [16])
    said = PictureMetadata(framed(b"\x4e\1\4\1\7\x80"), framed(b"\x7c\1\x19"))
    carried = CarriedFrames(result.stay, result.source)
    described = dict.fromkeys((3, 17), said)
    given = joined_packets(result.parts, carried, result.info, result.index, described, True, "a")
    kinds = {each.pts: [hevc.kind_of(unit) for unit in units(memoryview(each))] for each in given}
    shown = [kinds[pts] for pts in result.index.pts]
    assert shown[16:18] == [[20], [39, 1, 62, hevc.END_OF_SEQUENCE]]
    assert shown[3] == [1]


def test_what_was_encoded_decodes_to_the_same_amid_the_others(tmp_path: Path) -> None:
    result = joined(x265_clip(tmp_path / "a.mp4", bframes=2), [13, 40])

    def look(parts: list[Path], frames: list[av.VideoFrame]) -> None:
        with closing(EncodedCheck(parts, result.stay, "a.mp4")) as check:
            for frame in frames:
                check.see(frame)

    shown = decoded_frames(result.out)
    look(result.parts, shown)
    with pytest.raises(VerificationError, match="frame 13 does not decode to what it was encoded as"):
        look(result.parts, [*shown[:13], shown[12], *shown[14:]])
    with pytest.raises(VerificationError, match=r"frame 1[23] does not decode"):
        look([], shown)
    look(result.parts, [*shown[:3], shown[4], *shown[4:]])


@pytest.mark.parametrize(
    ("made", "name", "reason"),
    [
        ({"pixel_format": "yuv422p"}, "a.mp4", "Main and Main 10 only"),
        ({"gop": 1}, "a.mp4", "Main and Main 10 only"),
        ({}, "a.ts", "or within transport streams only"),
        ({}, "a.mkv", None),
    ],
)
def test_where_it_is_not_possible_the_reason_is_said(
    tmp_path: Path, made: dict[str, Any], name: str, reason: str | None
) -> None:
    said = why_not(x265_clip(tmp_path / "a.mp4", 12, **made), name)
    assert said is None if reason is None else reason in str(said)


def test_the_other_streams_and_tags_are_there_too(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", codec="libx265", size=(96, 64), audio=2, subtitles=True, chapters=True)
    assert joined(clip, [24]).stay.sum() == 36
