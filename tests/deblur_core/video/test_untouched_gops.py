"""GOPs without a restored frame keep every byte; what is put between them plays, seeks and keeps its times."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deblur_core.video.independent_gops import to_encode
from deblur_core.video.index import index_video, plan_segments
from tests.deblur_core.video.joined_clip import joined, packets, sought_hashes, why_not, x264_clip
from tests.media import frame_hashes, frame_times, make_clip

KINDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {"bframes": 0},
    "reordered.mp4": {"bframes": 3},
    "pyramid.mov": {"bframes": 5, "b_pyramid": "normal", "gop": 12, "ref": 4},
    "baseline.mp4": {"profile": "baseline"},
    "main.mp4": {"profile": "main", "bframes": 2},
    "cavlc.mp4": {"preset": "ultrafast", "bframes": 2},
    "deep.mp4": {"pixel_format": "yuv420p10le", "bframes": 2},
    "wide.mp4": {"pixel_format": "yuv422p", "bframes": 2},
    "cropped.mp4": {"size": (90, 50), "bframes": 2},
    "anamorphic.mp4": {"context": {"sample_aspect_ratio": Fraction(4, 3)}, "bframes": 2},
    "tagged.mp4": {"context": {"colorspace": 1, "color_range": 2, "color_primaries": 1, "color_trc": 1}, "bframes": 2},
    "delimited.mp4": {"aud": 1, "bframes": 2},
    "buffered.mp4": {"nal_hrd": "vbr", "vbv_maxrate": 4000, "vbv_bufsize": 4000, "bframes": 2},
    "sliced.mp4": {"slices": 4, "bframes": 2},
    "repeated.mp4": {"repeat_headers": 1, "bframes": 2},
    "other_ids.mp4": {"sps_id": 5, "bframes": 2},
    "intra.mp4": {"gop": 1},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "bframes": 2},
    "late.mp4": {"times": range(100_000, 100_000 + 48 * 3750, 3750), "bframes": 2},
    "variable.mp4": {"times": np.cumsum([3750 + 2111 * (n % 5 == 4) for n in range(48)]).tolist(), "bframes": 2},
    "variable.mkv": {"times": np.cumsum([3750 + 2111 * (n % 5 == 4) for n in range(48)]).tolist(), "bframes": 2},
    "matroska.mkv": {"bframes": 5, "b_pyramid": "normal", "gop": 12},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_byte_of_the_other_gops_stays(tmp_path: Path, name: str) -> None:
    clip = x264_clip(tmp_path / name, **KINDS[name])
    gop = KINDS[name].get("gop", 6)
    result = joined(clip, [12, 13])
    first, stop = 12, 13 // gop * gop + gop
    assert np.flatnonzero(~result.stay).tolist() == list(range(first, stop))
    before, after = packets(clip), packets(result.out)
    same = [old[2] == new[2] for old, new in zip(before, after, strict=True)]
    assert same == [not first <= place < stop for place in range(len(before))]
    if clip.suffix != ".mkv":
        assert [dts for _, dts, _ in after] == [dts for _, dts, _ in before]
        assert [old[0] == new[0] for old, new in zip(before, after, strict=True) if old[2] == new[2]].count(False) == 0
    assert frame_times(result.out) == frame_times(clip)
    old, new = frame_hashes(clip), frame_hashes(result.out)
    assert [place for place in range(48) if old[place] != new[place] and not first <= place < stop] == []
    assert old[13] != new[13]
    assert new[first:stop] == frame_hashes(result.parts[0])


@pytest.mark.parametrize("name", ["reordered.mp4", "pyramid.mov", "variable.mkv"])
def test_seeking_to_any_frame_shows_that_frame(tmp_path: Path, name: str) -> None:
    result = joined(x264_clip(tmp_path / name, **KINDS[name]), [0, 13, 47])
    linear = frame_hashes(result.out)
    assert 12 <= result.stay.sum() <= 45
    order = np.random.default_rng(0).permutation(result.index.frame_count)
    assert sought_hashes(result.out, result.index.pts[order]) == [linear[number] for number in order]


@pytest.mark.parametrize("restored", [[0], [47], [0, 5, 6, 47], [3, 14, 40], range(6, 48)])
def test_any_gop_may_be_the_one_that_is_encoded(tmp_path: Path, restored: list[int]) -> None:
    clip = x264_clip(tmp_path / "a.mp4", bframes=3, gop=6)
    result = joined(clip, restored, segment_frames=12)
    begins = {gop: min(number for number in restored if number // 6 == gop) for gop in {n // 6 for n in restored}}
    for number in range(48):
        if number // 6 not in begins:
            assert result.stay[number]
        elif number >= begins[number // 6]:
            assert not result.stay[number]
    old, new = frame_hashes(clip), frame_hashes(result.out)
    assert {number for number in range(48) if old[number] != new[number]} >= set(restored)
    assert all(old[number] == new[number] for number in np.flatnonzero(result.stay))


def test_the_other_streams_and_tags_are_there_too(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "a.mp4", frames=48, size=(96, 64), audio=2, subtitles=True, chapters=True, cover=True, rotation=90
    )
    assert joined(clip, [24]).stay.sum() == 36


@pytest.mark.parametrize(("restored", "stop"), [(30, 48), (3, 24), (23, 24)])
def test_an_open_gop_is_encoded_with_its_neighbours_up_to_the_next_idr(
    tmp_path: Path, restored: int, stop: int
) -> None:
    """Keyframes every 6 frames with leading pictures; IDR pictures are only the frames 0 and 24."""
    clip = x264_clip(tmp_path / "a.mp4", open_gop=1, bframes=2, fresh=(24,))
    shown = [pts for pts, _, _ in packets(clip)]
    assert (np.diff(shown[:24]) < 0).any()
    assert not {6, 12} & set(index_video(clip, "a").boundaries)
    stay = joined(clip, [restored]).stay
    assert not stay[restored:stop].any()
    assert stay[: stop - 24].all()
    assert stay[stop:].all()
    assert stay.sum() >= 24


def test_what_lies_before_the_first_restored_frame_of_a_gop_stays(tmp_path: Path) -> None:
    plain = joined(x264_clip(tmp_path / "plain.mp4", bframes=0, gop=12), [15, 20])
    assert np.flatnonzero(~plain.stay).tolist() == list(range(15, 24))
    reordered = joined(x264_clip(tmp_path / "reordered.mp4", bframes=3, b_adapt=0, b_pyramid="none", gop=12), [15])
    assert np.flatnonzero(~reordered.stay).tolist() == list(range(13, 24))


def test_a_gop_of_which_an_edit_list_hides_frames_is_encoded(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", start_seconds=Fraction(-7, 24), size=(96, 64))
    result = joined(clip, [17])
    assert len(packets(clip)) == 48
    assert result.index.frame_count == 41
    assert np.flatnonzero(~result.stay).tolist() == [*range(5), *range(17, 29)]


def test_segments_are_cut_where_a_gop_can_stay(tmp_path: Path) -> None:
    """Frames 18, 30 and 36 are closed keyframes, but only 0 and 24 are IDR pictures."""
    clip = x264_clip(tmp_path / "a.mp4", open_gop=1, bframes=2, fresh=(24,))
    index = index_video(clip, "a")
    assert index.boundaries == (0, 18, 24, 30, 36)
    assert [segment.first_frame for segment in plan_segments(index, 30)] == [0, 24]
    assert [segment.first_frame for segment in plan_segments(index, 20)] == [0, 18, 24, 36]
    assert joined(clip, [24], segment_frames=30).stay.sum() == 24


def test_a_gop_that_is_longer_than_a_segment_is_encoded(tmp_path: Path) -> None:
    clip = x264_clip(tmp_path / "a.mp4", 96, open_gop=1, bframes=2, fresh=(24, 48, 72), keyint=6)
    index = index_video(clip, "a")
    assert index.gop is not None
    cut = next(boundary for boundary in index.boundaries if index.gop[boundary] == index.gop[boundary - 1])
    assert index.is_cut is not None
    none = np.zeros(96, bool)
    own = index.gop == index.gop[cut]
    assert np.array_equal(to_encode(index.gop, index.is_cut, 0, none[:cut]), own[:cut])
    assert np.array_equal(to_encode(index.gop, index.is_cut, cut, none[cut:]), own[cut:])


@pytest.mark.parametrize(
    ("made", "encoder", "reason"),
    [
        ({"pixel_format": "yuv444p"}, {}, "4:4:4"),
        ({}, {"crf": 0.0}, "without any loss"),
        ({}, {"encoder": "libx265"}, "from H.264 to H.264 only"),
    ],
)
def test_where_it_is_not_possible_the_reason_is_said(
    tmp_path: Path, made: dict[str, Any], encoder: dict[str, Any], reason: str
) -> None:
    options = {key: value for key, value in made.items() if key != "name"}
    clip = x264_clip(tmp_path / made.get("name", "a.mp4"), 12, **options)
    said = why_not(clip, **encoder)
    assert said is not None
    assert reason in said


def test_the_container_of_the_result_counts_too(tmp_path: Path) -> None:
    clip = x264_clip(tmp_path / "a.mp4", 12)
    assert why_not(clip) is None
    assert joined(clip, [7], name="a.mkv").stay.sum() >= 6
    assert "or within transport streams only" in str(why_not(clip, "a.ts"))
    assert "no decoding times" in str(why_not(x264_clip(tmp_path / "b.mkv", 12), "a.mp4"))
