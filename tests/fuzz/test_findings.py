"""What changed files have found, made by rule: each was an error that nobody could read, and is one clear line."""

import io
from pathlib import Path

import av
import pytest

from deblur_core.errors import DamagedVideoError, DeclinedVideoError
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe
from tests.fidelity.quick_line import restored
from tests.media import make_clip


def test_a_place_before_the_first_byte_is_no_error_of_ours(tmp_path: Path) -> None:
    """A fragment whose run lies 2 GiB before it: the operating system's `Invalid argument` came through."""
    clip = make_clip(tmp_path / "plain.mp4", frames=12, size=(64, 48), audio=False)
    path = tmp_path / "a.mp4"
    with (
        av.open(str(clip)) as source,
        av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as made,
    ):
        stream = made.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    data = bytearray(path.read_bytes())
    offset = data.index(b"trun") + 12
    data[offset : offset + 4] = (0x80000000).to_bytes(4, "big")
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        with pytest.raises(DamagedVideoError, match=r"a\.mp4: "):
            index_video(source, "a.mp4", probe(source, "a.mp4"))


def test_sound_of_a_codec_that_nobody_knows_is_declined(tmp_path: Path) -> None:
    """It has no decoder at all, and its sample rate was asked for all the same."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    clip = make_clip(tmp_path / "in" / "a.mkv", frames=24, size=(96, 64))
    data = clip.read_bytes()
    assert b"A_AAC" in data
    clip.write_bytes(data.replace(b"A_AAC", b"A_XYZ"))
    outcome = restored(clip, tmp_path / "out")
    assert isinstance(outcome.error, DeclinedVideoError) and "audio stream 1" in str(outcome.error)
