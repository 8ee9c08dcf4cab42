"""Transport streams of H.264 and HEVC: untouched GOPs stay byte for byte, between encoded ones with start codes."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.video import h264
from deblur_core.video.bits import BitstreamError
from deblur_core.video.h264 import parse_header
from deblur_core.video.independent_gops import GopWatch
from deblur_core.video.nal_units import started
from tests.deblur_core.video.joined_clip import decoder_messages, joined, packets
from tests.media import frame_hashes, frame_times, make_clip

KINDS: dict[str, dict[str, Any]] = {
    "plain.ts": {"bframes": 0},
    "reordered.ts": {"bframes": 3},
    "hevc.ts": {"codec": "libx265", "bframes": 3},
    "main10.m2ts": {"codec": "libx265", "bframes": 2, "pixel_format": "yuv420p10le"},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("restored", [[13, 14], [0, 47]])
def test_every_byte_of_the_other_gops_stays(tmp_path: Path, name: str, restored: list[int]) -> None:
    clip = make_clip(tmp_path / name, size=(96, 64), gop=6, **KINDS[name])
    result = joined(clip, restored)
    encoded = np.flatnonzero(~result.stay)
    assert {number // 6 for number in encoded} == {number // 6 for number in restored}
    before, after = packets(clip), packets(result.out)
    same = [old[2] == new[2] for old, new in zip(before, after, strict=True)]
    assert same.count(False) == len(encoded)
    assert [dts for _, dts, _ in after] == [dts for _, dts, _ in before]
    assert frame_times(result.out) == frame_times(clip)
    old, new = frame_hashes(clip), frame_hashes(result.out)
    assert [place for place in np.flatnonzero(result.stay) if old[place] != new[place]] == []
    assert decoder_messages(result.out) == []


def test_an_open_gop_of_hevc_is_encoded_up_to_the_next_idr(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", codec="libx265", size=(96, 64), gop=6, bframes=0, open_gop=True)
    assert np.flatnonzero(~joined(clip, [14]).stay).tolist() == list(range(14, 48))


def test_a_header_of_start_codes_is_read(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "a.mp4", frames=6, size=(96, 64)))) as container:
        header = parse_header(container.streams.video[0].codec_context.extradata or b"")
    sets = [*header.sequence_sets, *header.picture_sets]
    found = parse_header(b"".join(map(started, sets)))
    assert (found.profile, found.level, found.sequence_sets) == (header.profile, header.level, header.sequence_sets)
    with pytest.raises(BitstreamError):
        parse_header(started(header.picture_sets[0]))
    watch = GopWatch("h264", b"".join(map(started, sets)))
    watch.see(av.Packet(b"".join(map(started, [h264.delimiter(), *sets[:1], b"\x65\x88"]))), True)
    assert watch.numbers(np.array([0])) is None
    assert "does not repeat its parameter sets" in str(watch.hindrance)
