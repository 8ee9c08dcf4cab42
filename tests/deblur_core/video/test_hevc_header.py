"""What an HEVC header says of all pictures is in the header of the result, too."""

from pathlib import Path

import av

from deblur_core.video.hevc_header import with_lasting_messages
from tests.deblur_core.video.whole_path import rebuilt
from tests.media import decoded_frames, make_clip

# 15.7 lux, D65: SEI 148 with its NAL header and stop bit.
AMBIENT = bytes.fromhex("4e019408002fe9a03d13404280")


def with_ambient(path: Path) -> Path:
    """A clip whose header, and nothing else, tells the ambient viewing environment."""
    plain = make_clip(path.with_name("plain.mp4"), codec="libx265", frames=8, size=(96, 64), audio=False)
    with av.open(str(plain)) as before, av.open(str(path), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0], opaque=True)
        header = stream.codec_context.extradata
        array = b"\xa7\x00\x01" + len(AMBIENT).to_bytes(2, "big") + AMBIENT
        stream.codec_context.extradata = header[:22] + bytes([header[22] + 1]) + header[23:] + array
        for packet in before.demux():
            if packet.size:
                packet.stream = stream
                after.mux(packet)
    return path


def ambient(path: Path) -> list[bytes]:
    frames = decoded_frames(path)
    return [bytes(item) for item in frames[0].side_data if item.type.name == "AMBIENT_VIEWING_ENVIRONMENT"]


def test_the_ambient_viewing_environment_is_in_the_result(tmp_path: Path) -> None:
    clip = with_ambient(tmp_path / "a.mp4")
    assert len(ambient(clip)) == 1
    out, *_ = rebuilt(clip, tmp_path)
    assert ambient(out) == ambient(clip)


def test_headers_of_other_kinds_stay_as_they_are() -> None:
    assert with_lasting_messages(b"\x01" + bytes(30), b"") == b"\x01" + bytes(30)
    assert with_lasting_messages(b"", b"\0\0\0\1") == b""
