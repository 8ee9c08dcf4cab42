"""The check before publication finds what is wrong with sound, times, tags and pictures, and says what was lost."""

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deblur_core.errors import VerificationError
from deblur_core.video.index import index_video
from deblur_core.video.picture_check import PictureCheck, difference
from deblur_core.video.probe import probe
from deblur_core.video.provenance_tag import free_key, read_tag
from deblur_core.video.tag_check import Lost
from deblur_core.video.verify import Findings, verify_rebuilt
from tests.deblur_core.video.whole_path import rebuilt
from tests.media import decoded_frames, encode_frames, make_clip, moving_texture

Alter = Callable[[av.Packet], av.Packet | None]


def remuxed(
    clip: Path,
    target: Path,
    *,
    alter: Alter = lambda packet: packet,
    tags: dict[str, str] | None = None,
    stream_tags: dict[str, str] | None = None,
    chapters: list[Any] | None = None,
    mirrored: bool = False,
    lacks: frozenset[str] = frozenset(),
) -> Path:
    """Packets of `clip` in another file, each as `alter` gives it; all else as it was but for what is said."""
    with av.open(str(clip)) as source, av.open(str(target), "w", options={"movie_timescale": "90000"}) as out:
        out.metadata.update({key: value for key, value in source.metadata.items() if key not in lacks} | (tags or {}))
        kept = source.chapters() if chapters is None else chapters
        if kept:
            out.set_chapters(kept)
        streams: dict[int, Any] = {}
        for stream in source.streams:
            opaque = {} if stream.type == "attachment" else {"opaque": True}
            copied: Any = out.add_stream_from_template(stream, **opaque)
            copied.time_base = stream.time_base
            copied.metadata.update({**stream.metadata, **(stream_tags or {})})
            if mirrored and stream.type == "video":
                copied.set_display_matrix((65536, 0, 0, 0, -65536, 0, 0, 64 << 16, 1 << 30))
            streams[stream.index] = copied
        for packet in source.demux([each for each in source.streams if each.type != "attachment"]):
            altered = alter(packet) if packet.size else None
            if altered is not None:
                altered.stream = streams[packet.stream_index]
                out.mux(altered)
    return target


def check(source: Path, result: Path, **options: Any) -> Findings:
    return verify_rebuilt(source, result, probe(source, "a"), index_video(source, "a"), result.name, **options)


def only(kind: str, change: Callable[[av.Packet], av.Packet | None]) -> Alter:
    return lambda packet: change(packet) if packet.stream.type == kind else packet


def _later(packet: av.Packet) -> av.Packet:
    packet.pts += 240  # 5 ms of sound
    packet.dts += 240
    return packet


def _louder(packet: av.Packet) -> av.Packet:
    return _like(packet, bytes(packet)[:-1] + b"\1")


def _like(packet: av.Packet, data: bytes) -> av.Packet:
    other = av.Packet(data)
    other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
    other.time_base, other.stream, other.is_keyframe = packet.time_base, packet.stream, packet.is_keyframe
    return other


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"alter": only("audio", _later)}, r"audio aac eng would be 0\.005000 s off at packet 0"),
        ({"alter": only("audio", _louder)}, "audio aac eng differs in the bytes of packet 0"),
        ({"alter": only("audio", lambda packet: None if packet.pts > 24000 else packet)}, "packets and would have"),
        ({"tags": {"title": "another"}}, "tag title of the file was 'a film' and would become 'another'"),
        ({"tags": {"artist": "nobody"}}, "would get the tag artist"),
        ({"stream_tags": {"handler_name": "else"}}, "tag handler_name of video stream 0 was"),
        ({"mirrored": True}, "display matrix was"),
    ],
)
def test_what_is_not_as_it_was_is_named(tmp_path: Path, how: dict[str, Any], words: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=24, size=(96, 64), metadata={"title": "a film"})
    result = remuxed(clip, tmp_path / "b.mp4", **how)
    with pytest.raises(VerificationError, match=words):
        check(clip, result)


def test_a_picture_that_moves_against_its_sound_is_named(tmp_path: Path) -> None:
    """Frames and packets may each be a tick of Matroska off; sound and picture together may not drift apart by two."""
    clip = make_clip(tmp_path / "a.mkv", frames=24, size=(96, 64))
    index = index_video(clip, "a")
    later = replace(index, pts=index.pts + 1)
    result = remuxed(clip, tmp_path / "b.mkv", alter=only("audio", _by_a_tick))
    with pytest.raises(VerificationError, match=r"would move by 0\.002000 s against the picture"):
        verify_rebuilt(clip, result, probe(clip, "a"), later, "b.mkv")


def _by_a_tick(packet: av.Packet) -> av.Packet:
    packet.pts += 1
    packet.dts += 1
    return packet


def test_lost_tags_are_told_and_those_of_the_muxer_are_not(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=12, size=(96, 64), metadata={"title": "a film", "tape": "17"})
    result = remuxed(clip, tmp_path / "b.mkv", lacks=frozenset({"TAPE"}))
    lost = Lost("tag tape of the file", "a matroska file as FFmpeg writes it does not hold it")
    assert check(clip, result).lost == (lost,)
    assert check(clip, remuxed(clip, tmp_path / "c.mkv")).lost == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [({"start": 100}, "chapter 1 would be moved"), ({"metadata": {"title": "else"}}, "title of its chapter 1")],
)
def test_chapters_are_compared_one_by_one(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=24, size=(96, 64), chapters=True)
    with av.open(str(clip)) as container:
        first, second = container.chapters()
    result = remuxed(clip, tmp_path / "b.mkv", chapters=[first, {**second, **change}])
    with pytest.raises(VerificationError, match=words):
        check(clip, result)


def test_an_attached_file_is_compared_by_its_content(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=12, size=(96, 64), attachment=b"a font")
    other = make_clip(tmp_path / "b.mkv", frames=12, size=(96, 64), attachment=b"a fond")
    assert [each.kind for each in check(clip, clip).others.streams] == ["audio", "attachment"]
    with pytest.raises(VerificationError, match=r"attachment.* would be another file than font\.ttf"):
        check(clip, other)


def pictures(clip: Path, restored: set[int], stay: set[int] | None = None) -> PictureCheck:
    index = index_video(clip, "a")
    numbers = np.arange(index.frame_count)
    kept = None if stay is None else np.isin(numbers, list(stay))
    return PictureCheck(clip, index, np.isin(numbers, list(restored)), "b.mp4", kept)


def changed_at(clip: Path, target: Path, numbers: set[int], by: int) -> Path:
    """The clip without sound, with a bar of some frames brighter."""
    shown = [frame.to_ndarray(format="rgb24") for frame in decoded_frames(clip)]
    for number in numbers:
        shown[number][:16] = np.clip(shown[number][:16].astype(int) + by, 0, 255)
    return encode_frames(target, shown, crf=1)


def test_a_frame_that_was_not_restored_must_look_as_it_did(tmp_path: Path) -> None:
    clip = encode_frames(tmp_path / "a.mp4", moving_texture(24, (96, 64)))
    result = changed_at(clip, tmp_path / "b.mp4", {7}, 80)
    with pytest.raises(VerificationError, match=r"frame 7 was not restored, yet it would be \d+\.\d dB"):
        check(clip, result, pictures=pictures(clip, set()))
    found = check(clip, result, pictures=pictures(clip, {7})).pictures
    assert found is not None
    assert found.identical + found.differing == 23
    assert found.least_psnr_db is not None
    assert found.least_psnr_db > 45
    assert found.largest_difference is not None
    assert 0 < found.largest_difference < 20


def test_a_frame_that_was_to_stay_must_not_differ_by_one_sample(tmp_path: Path) -> None:
    clip = encode_frames(tmp_path / "a.mp4", moving_texture(12, (96, 64)))
    result = changed_at(clip, tmp_path / "b.mp4", set(), 0)
    with pytest.raises(VerificationError, match="frame 5 was to stay as it was and its picture differs"):
        check(clip, result, pictures=pictures(clip, set(), {5}))


def test_a_lossless_result_differs_nowhere(tmp_path: Path) -> None:
    clip = encode_frames(tmp_path / "a.mkv", moving_texture(12, (96, 64)))
    frames = [frame.to_ndarray(format="rgb24") for frame in decoded_frames(clip)]
    with pytest.raises(VerificationError, match="frame 0 differs, although its codec loses nothing"):
        check(clip, encode_frames(tmp_path / "b.mkv", frames, codec="ffv1"), pictures=pictures(clip, set()))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gbrp", "gray", "yuv444p12le", "gray10le"])
def test_two_frames_are_compared_sample_by_sample(pixel_format: str) -> None:
    one = av.VideoFrame.from_ndarray(next(moving_texture(1, (34, 18))), "rgb24").reformat(format=pixel_format)
    other = one.reformat(format=pixel_format)
    same = av.VideoFrame(34, 18, pixel_format)
    for from_plane, plane in zip(one.planes, same.planes, strict=True):
        plane.update(bytes(from_plane))
    assert difference(one, same, "a") == (0, 0.0)
    data = bytearray(bytes(one.planes[-1]))
    data[0] ^= 4
    same.planes[-1].update(bytes(data))
    largest, mean_square = difference(other, same, "a")
    count = sum(plane.width * plane.height for plane in one.planes)
    assert (largest, mean_square) == (4, pytest.approx(16 / count))


def test_frames_of_another_size_cannot_be_compared() -> None:
    with pytest.raises(VerificationError, match="was 34x18 gray and would be 18x34 gray"):
        difference(av.VideoFrame(34, 18, "gray"), av.VideoFrame(18, 34, "gray"), "a")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_a_rebuilt_file_says_who_made_it_beside_the_tags_of_its_source(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    clip = make_clip(tmp_path / name, frames=12, size=(96, 64), codec=codec, metadata={"title": "a film"})
    out, info, index, _ = rebuilt(clip, tmp_path, provenance="who and where")
    muxer = {"a.mkv": "matroska"}.get(name, name[2:])
    tag = read_tag(clip, out, muxer, name)
    assert tag is not None
    assert (tag.key, tag.text) == ("comment", "who and where")
    assert verify_rebuilt(clip, out, info, index, out.name, added_tags=(tag.key,)).lost == ()
    with pytest.raises(VerificationError, match="would get the tag comment"):
        verify_rebuilt(clip, out, info, index, out.name)


@pytest.mark.parametrize(
    ("tags", "muxer", "key"),
    [
        ({"COMMENT": "mine"}, "matroska", "restored_by"),
        ({"comment-eng": "mine"}, "mp4", "description"),
        ({"comment": "mine"}, "mov", None),
        ({}, "mpegts", None),
        ({}, "3gp", None),
    ],
)
def test_a_key_that_the_source_uses_is_never_taken(tags: dict[str, str], muxer: str, key: str | None) -> None:
    assert free_key(tags, muxer) == key


def test_the_length_that_a_file_announces_is_that_of_its_streams(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=24, size=(96, 64), audio=False)
    longer = tmp_path / "b.mkv"
    data = clip.read_bytes()
    # Duration of the segment (4489), a float of 8 bytes in milliseconds.
    place = re.search(rb"\x44\x89\x88", data)
    assert place is not None
    longer.write_bytes(data[: place.end()] + np.array([60000.0], ">f8").tobytes() + data[place.end() + 8 :])
    with pytest.raises(VerificationError, match=r"would last 60\.000 s"):
        check(clip, longer)


def test_times_in_matroska_are_told_with_their_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", frames=24, size=(96, 64), codec="mpeg4", rate=Fraction(30000, 1001), bframes=0)
    out, info, index, _ = rebuilt(clip, tmp_path)
    found = verify_rebuilt(clip, out, info, index, out.name)
    assert 0 < found.largest_time_error_seconds <= 0.0005
    assert found.others.offset_change_seconds <= 0.001
