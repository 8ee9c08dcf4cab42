"""HDR10+ messages and Dolby Vision RPUs stay with their pictures."""

from pathlib import Path

import av

from deblur_core.video.index import index_video
from deblur_core.video.picture_metadata import PictureMetadata, read_picture_metadata, with_metadata
from tests.media import frame_hashes, make_clip

HDR10_PLUS = bytes.fromhex("4e010408b5003c0001040100") + b"\x80"
DOLBY_RPU = bytes.fromhex("7c0119080900")
OTHER_MESSAGE = bytes.fromhex("4e01040bb500314741393403c0ff80")


def framed(unit: bytes) -> bytes:
    return len(unit).to_bytes(4, "big") + unit


def with_messages(clip: Path, target: Path) -> Path:
    """The clip with a message of its own before, and one after, every second picture."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size and (packet.pts or 0) * packet.time_base * 24 % 2 == 0:
                number = bytes([round((packet.pts or 0) * packet.time_base * 24)])
                before = framed(OTHER_MESSAGE) + framed(HDR10_PLUS + number)
                packet = with_metadata(packet, PictureMetadata(before, framed(DOLBY_RPU + number)))
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    return target


def test_each_frames_messages_are_found_under_its_number(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=12, codec="libx265", bframes=3, audio=False)
    marked = with_messages(clip, tmp_path / "b.mp4")
    found = read_picture_metadata(marked, index_video(marked, "b.mp4"), "b.mp4")
    assert found == {
        number: PictureMetadata(framed(HDR10_PLUS + bytes([number])), framed(DOLBY_RPU + bytes([number])))
        for number in range(0, 12, 2)
    }


def test_clip_without_messages_has_none(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=6, codec="libx265", audio=False)
    assert read_picture_metadata(clip, index_video(clip, "a.mp4"), "a.mp4") == {}


def test_messages_leave_the_pictures_alone(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=12, codec="libx265", audio=False)
    assert frame_hashes(with_messages(clip, tmp_path / "b.mp4")) == frame_hashes(clip)
