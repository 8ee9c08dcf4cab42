"""HEVC: GOPs without a restored frame keep every byte; what is put between them plays, seeks and keeps its times."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.errors import VerificationError
from deblur_core.video import hevc
from deblur_core.video.carried_check import compare_carried
from deblur_core.video.nal_units import framed, units
from tests.deblur_core.video.joined_clip import (
    decoder_messages,
    joined,
    packets,
    sought_hashes,
    why_not,
    x265_clip,
)
from tests.media import frame_hashes, frame_times, make_clip, odd_clips

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


def test_an_open_gop_is_encoded_with_those_after_it_up_to_a_closed_one(tmp_path: Path) -> None:
    """CRA pictures every 8 frames, each but the first with leading pictures that refer to what came before."""
    clip = x265_clip(tmp_path / "a.mp4", open_gop=1, bframes=3, gop=8)
    assert hevc.RASL[0] in kinds_of_pictures(clip)
    result = joined(clip, [13])
    assert np.flatnonzero(~result.stay).tolist() == list(range(13, 48))
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
