"""Bounds of what a file may ask for: each has its own clear line, and is found before the memory is taken."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import pytest

from deblur_core.errors import DamagedVideoError, LimitError, VideoError
from deblur_core.video import limits
from deblur_core.video.decode import decode_frames
from deblur_core.video.index import VideoIndex, index_video
from deblur_core.video.limits import LIMITS
from deblur_core.video.probe import probe
from tests.media import hostile_files, make_clip

_GIGAPIXEL = (40000, 40000)
_ALL_AT_ONCE = """
import resource, sys
from pathlib import Path
from deblur_core.errors import VideoError
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        index_video(Path(path), path, probe(Path(path), path))
    except VideoError as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def bounded(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    monkeypatch.setattr(limits, "LIMITS", replace(LIMITS, **bounds))


@pytest.mark.parametrize(
    ("side", "words"),
    [(12000, "its pictures are 12000x12000, more than the 67108864 pixels"), (40000, "beyond any decoder")],
)
def test_gigapixel_pictures_are_refused_by_what_the_header_says(tmp_path: Path, side: int, words: str) -> None:
    clip = make_clip(tmp_path / "a.avi", codec="ffv1", frames=4, size=(64, 48), audio=False)
    data = bytearray(clip.read_bytes())
    described = data.index(b"strf") + 12
    data[described : described + 8] = 2 * side.to_bytes(4, "little")
    clip.write_bytes(data)
    with pytest.raises(VideoError, match=words):
        probe(clip, "a.avi")


@pytest.mark.parametrize("number", [0, 3])
def test_a_gigapixel_picture_amid_small_ones_is_refused_by_the_decoder(tmp_path: Path, number: int) -> None:
    clip = hostile_files.with_one_large_picture(tmp_path / "a.avi", _GIGAPIXEL, number)
    with pytest.raises(LimitError, match=r"a\.avi: .*frame.* is 40000x40000, more than the 67108864 pixels"):
        index_video(clip, "a.avi", probe(clip, "a.avi"))


def test_also_where_the_index_needed_no_decoder(tmp_path: Path) -> None:
    clip = hostile_files.with_one_large_picture(tmp_path / "a.avi", _GIGAPIXEL)
    index = _index_of_the_small_ones(tmp_path)
    with pytest.raises(LimitError, match=r"a\.avi: frame 3 at 0\.125 s is 40000x40000"):
        list(decode_frames(clip, index, 0, index.frame_count, "a.avi"))


def _index_of_the_small_ones(folder: Path) -> VideoIndex:
    return index_video(folder / "plain.avi", "plain.avi")


def test_a_picture_that_is_merely_damaged_is_not_called_too_large(tmp_path: Path) -> None:
    large = hostile_files.with_one_large_picture(tmp_path / "large.avi", _GIGAPIXEL)
    with pytest.raises(LimitError):
        index_video(large, "large.avi")
    clip = make_clip(tmp_path / "a.avi", codec="ffv1", size=(64, 48), frames=4, gop=1, audio=False)
    data = clip.read_bytes()
    at = data.index(b"00dc", data.index(b"movi")) + 8
    clip.write_bytes(data[:at] + b"\xff" * 40 + data[at + 40 :])
    with pytest.raises(DamagedVideoError, match="does not decode"):
        index_video(clip, "a.avi")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("most", [3, 4])
def test_too_many_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, most: int) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", audio=4, frames=4, size=(64, 48))
    bounded(monkeypatch, streams=most)
    with pytest.raises(LimitError, match=f"streams, more than the {most}|more than {most} streams"):
        probe(clip, "a")
    bounded(monkeypatch, streams=5)
    assert len(probe(clip, "a").streams) == 5


def test_too_many_chapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", chapters=True, frames=4, size=(64, 48), audio=False)
    bounded(monkeypatch, chapters=1)
    with pytest.raises(LimitError, match=r"a\.mkv: has 2 chapters, more than the 1"):
        probe(clip, "a.mkv")


def test_attachments_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", attachment=bytes(5000), frames=4, size=(64, 48), audio=False)
    bounded(monkeypatch, attachment_bytes=4999)
    with pytest.raises(LimitError, match=r"a\.mkv: has 5000 bytes of attachments, more than the 4999"):
        probe(clip, "a.mkv")


def test_tags_that_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", metadata={"COMMENT": "x" * 5000}, frames=4, size=(64, 48), audio=False)
    bounded(monkeypatch, tag_bytes=4999)
    with pytest.raises(LimitError, match=r"a\.mkv: has 5\d\d\d bytes of tags, more than the 4999"):
        probe(clip, "a.mkv")


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_too_many_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", frames=8, size=(64, 48), audio=False, bframes=0)
    bounded(monkeypatch, frames=7)
    with pytest.raises(LimitError, match="has 8 frames, more than the 7"):
        index_video(clip, "a")


def test_too_long_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=9, rate=1, size=(64, 48), audio=False)
    bounded(monkeypatch, duration_seconds=7)
    with pytest.raises(LimitError, match="has 8 seconds, more than the 7"):
        index_video(clip, "a.mkv")


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_far_more_pictures_than_the_bytes_can_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", frames=8, size=(64, 48), audio=False, bframes=0)
    bounded(monkeypatch, pixels_free=8 * 64 * 48 - 1, pixels_per_file_byte=0)
    with pytest.raises(LimitError, match="bytes decode to 8 pictures of 3072 pixels"):
        index_video(clip, "a")
    bounded(monkeypatch, pixels_free=8 * 64 * 48, pixels_per_file_byte=0)
    assert index_video(clip, "a").frame_count == 8


def test_packets_that_unpack_to_far_more_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=8, size=(64, 48), audio=False)
    bounded(monkeypatch, packet_bytes_free=1000, packet_bytes_per_file_byte=0)
    with pytest.raises(LimitError, match="bytes unpack to more than 1000"):
        index_video(clip, "a.mkv")


def test_more_packets_than_bytes() -> None:
    meter = limits.Meter("a.mp4", 3)
    for _ in range(3):
        meter.see(av.Packet(b""))
    with pytest.raises(LimitError, match=r"a\.mp4: holds more packets than its 3 bytes can describe"):
        meter.see(av.Packet(b""))


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    bombs = {
        "samples.mp4": hostile_files.made_of_samples(1 << 25),
        "fragments.mp4": hostile_files.made_of_fragments(1 << 25),
        "header.mov": hostile_files.packed_header(1 << 31),
        "nested.mov": hostile_files.packed_header(1 << 20),
    }
    for name, content in bombs.items():
        (tmp_path / name).write_bytes(content)
    large = hostile_files.with_one_large_picture(tmp_path / "large.avi", _GIGAPIXEL, 0)
    paths = [*(str(tmp_path / name) for name in bombs), str(large)]
    ran = subprocess.run([sys.executable, "-c", _ALL_AT_ONCE, *paths], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    *lines, grown_kib = ran.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == paths
    assert int(grown_kib) < 256 << 10
    for line, words in zip(
        lines,
        [
            "announces 33554432 samples",
            "announces 33554432 samples",
            "unpacks to 2147483648",
            "no video",
            "40000x40000",
        ],
        strict=True,
    ):
        assert words in line


def test_what_the_bombs_are_made_from_is_sound(tmp_path: Path) -> None:
    """With few samples the same files are read as far as their pictures, which hold nothing."""
    for name, content in {
        "samples.mp4": hostile_files.made_of_samples(20),
        "fragments.mp4": hostile_files.made_of_fragments(20),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DamagedVideoError, match="its first frame does not decode"):
            probe(tmp_path / name, name)


def test_a_table_that_is_longer_than_its_box_is_found(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=8, size=(64, 48), audio=False)
    data = bytearray(clip.read_bytes())
    sizes = data.index(b"stsz") + 12
    data[sizes : sizes + 4] = (1 << 20).to_bytes(4, "big")
    clip.write_bytes(data)
    with pytest.raises(DamagedVideoError, match=r"a\.mp4: its table stsz announces more entries than it holds"):
        probe(clip, "a.mp4")


def test_old_sound_that_counts_its_samples_is_no_bomb(tmp_path: Path) -> None:
    """QuickTime's ADPCM: 64 samples in 34 bytes, all counted."""
    clip = make_clip(tmp_path / "a.mov", frames=8, size=(64, 48), audio=False)
    sound = tmp_path / "sound.mov"
    with av.open(str(sound), "w") as target, av.open(str(clip)) as source:
        stream = target.add_stream("adpcm_ima_qt", rate=48000, layout="mono")
        picture = target.add_stream_from_template(source.streams.video[0])
        for number in range(200):
            frame = av.AudioFrame(format="s16p", layout="mono", samples=64)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate, frame.pts = 48000, 64 * number
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                target.mux(packet)
    assert probe(sound, "sound.mov").codec == "h264"
    assert index_video(sound, "sound.mov").frame_count == 8
