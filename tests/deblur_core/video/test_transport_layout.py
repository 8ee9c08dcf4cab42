"""A transport stream's result has packets of its source's size and tables of its kind, whatever the file is called."""

from pathlib import Path

import av
import numpy as np
import pytest

from deblur_core.video.transport_layout import TransportLayout, read_layout
from tests.deblur_core.video.joined_clip import decoder_messages
from tests.deblur_core.video.whole_path import rebuilt
from tests.fidelity.quick_line import restored
from tests.media import frame_times, make_clip, packet_hashes

STAMPED, PLAIN = 192, 188
CLOCK_MODULUS = 1 << 30


def layouts(folder: Path, of_disc: bool) -> dict[int, bytes]:
    """The same packets in both sizes, as FFmpeg's muxer writes them for a disc or for a broadcast."""
    clip = make_clip(folder / ("made.m2ts" if of_disc else "made.ts"), frames=12, size=(64, 48), gop=6)
    data = clip.read_bytes()
    clip.unlink()
    if of_disc:
        return {STAMPED: data, PLAIN: b"".join(data[at + 4 : at + STAMPED] for at in range(0, len(data), STAMPED))}
    packets = [data[at : at + PLAIN] for at in range(0, len(data), PLAIN)]
    return {PLAIN: data, STAMPED: b"".join(number.to_bytes(4, "big") + each for number, each in enumerate(packets))}


def packet_size(path: Path) -> int:
    data = path.read_bytes()
    (found,) = [
        size
        for size in (PLAIN, STAMPED)
        if not len(data) % size and set(data[size - PLAIN :: size]) == {0x47} and len(data) > 20 * size
    ]
    return found


@pytest.mark.parametrize("of_disc", [False, True])
@pytest.mark.parametrize("size", [PLAIN, STAMPED])
@pytest.mark.parametrize("suffix", [".ts", ".mts", ".M2TS"])
def test_a_result_is_laid_out_as_its_source(tmp_path: Path, suffix: str, size: int, of_disc: bool) -> None:
    clip = tmp_path / f"a{suffix}"
    clip.write_bytes(layouts(tmp_path, of_disc)[size])
    assert read_layout(clip) == TransportLayout(size == STAMPED, of_disc)
    out, *_ = rebuilt(clip, tmp_path)
    assert packet_size(clip) == packet_size(out) == size
    assert read_layout(out) == read_layout(clip)
    assert packet_hashes(out, "audio") == packet_hashes(clip, "audio") != []
    assert frame_times(out) == frame_times(clip)
    assert decoder_messages(out) == []
    with av.open(str(clip)) as before, av.open(str(out)) as after:
        assert [stream.id for stream in after.streams] == [stream.id for stream in before.streams]


def test_packets_arrive_when_the_clock_of_the_stream_says(tmp_path: Path) -> None:
    clip = tmp_path / "a.ts"
    clip.write_bytes(layouts(tmp_path, of_disc=False)[STAMPED])
    out, *_ = rebuilt(clip, tmp_path)
    packets = np.frombuffer(out.read_bytes(), np.uint8).reshape(-1, STAMPED)
    stamps = packets[:, :4].copy().view(">u4").ravel().astype(np.int64)
    read = (packets[:, 7] & 0x20 > 0) & (packets[:, 8] > 0) & (packets[:, 9] & 0x10 > 0)
    base = packets[read, 10:14].copy().view(">u4").ravel().astype(np.int64) * 2 + (packets[read, 14] >> 7)
    extension = (packets[read, 14].astype(np.int64) & 1) << 8 | packets[read, 15]
    assert stamps[read].tolist() == ((base * 300 + extension) % CLOCK_MODULUS).tolist()
    assert len(base) > 2
    first = int(np.flatnonzero(read)[0])
    assert set(stamps[:first]) <= {stamps[first]}
    assert (np.diff(stamps[first:]) > 0).all()


@pytest.mark.parametrize(("suffix", "size"), [(".mts", PLAIN), (".ts", STAMPED)])
def test_such_a_file_is_restored_and_published(tmp_path: Path, suffix: str, size: int) -> None:
    (tmp_path / "in").mkdir()
    clip = tmp_path / "in" / f"a{suffix}"
    clip.write_bytes(layouts(tmp_path, of_disc=False)[size])
    outcome = restored(clip, tmp_path / "out")
    assert outcome.error is None
    assert outcome.restored
    assert outcome.path == tmp_path / "out" / clip.name
    assert packet_size(outcome.path) == size
    assert packet_hashes(outcome.path, "audio") == packet_hashes(clip, "audio") != []


def test_what_is_no_transport_stream_has_the_plain_layout(tmp_path: Path) -> None:
    assert read_layout(make_clip(tmp_path / "a.mp4", frames=4, size=(64, 48))) == TransportLayout()
