"""How finely a source was quantised, and what that saves."""

from dataclasses import replace
from pathlib import Path

from deblur_core.video.encode import choose_encoder, encode_segment
from deblur_core.video.probe import probe
from deblur_core.video.source_quantiser import finest_quantiser
from tests.media import decoded_frames, make_clip


def test_coarser_sources_have_greater_quantisers(tmp_path: Path) -> None:
    fine = finest_quantiser(make_clip(tmp_path / "fine.mp4", crf=16), "fine.mp4")
    coarse = finest_quantiser(make_clip(tmp_path / "coarse.mp4", crf=36), "coarse.mp4")
    assert fine is not None
    assert coarse is not None
    assert fine < 20 < coarse - 10


def test_other_codecs_do_not_tell(tmp_path: Path) -> None:
    assert finest_quantiser(make_clip(tmp_path / "a.mp4", codec="libx265"), "a.mp4") is None


def test_untouched_frames_of_a_coarse_source_take_less_room(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=10, crf=40, audio=False)
    known = probe(clip, "a.mp4")
    sizes = []
    for info in (known, replace(known, finest_quantiser=None)):
        part = tmp_path / "part.mkv"
        encode_segment(decoded_frames(clip), [False] * 10, info, choose_encoder(info, ".mp4"), part)
        sizes.append(part.stat().st_size)
    assert sizes[0] < 0.6 * sizes[1]


def test_nothing_is_learnt_of_an_interlaced_source_with_an_odd_number_of_block_pairs(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "fields.mp4", size=(64, 48), interlaced=True, bframes=0)
    assert finest_quantiser(clip, "fields.mp4") is None
    assert probe(clip, "fields.mp4").codec == "h264"
