"""Sound that Matroska cannot hold as it is keeps every sample and its time in another form."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_core.errors import DeclinedVideoError, VerificationError
from deblur_core.video import stream_check
from deblur_core.video.containers import muxer_for
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import EncodeSettings, choose_encoder, encode_segment
from deblur_core.video.held_streams import refusal
from deblur_core.video.index import index_video
from deblur_core.video.lossless_sound import SoundEncoder, held_as, samples_of
from deblur_core.video.probe import probe
from deblur_core.video.rebuild import rebuild
from deblur_core.video.stream_check import ConvertedSound
from deblur_core.video.verify import Findings, verify_rebuilt
from tests.deblur_core.video.test_verify_everything import remuxed
from tests.media import make_clip, odd_clips
from tests.media.odd_sound import with_sound


def master(clip: Path) -> tuple[Path, Findings]:
    """The clip in Matroska, its pictures as FFV1."""
    info = probe(clip, clip.name)
    index = index_video(clip, clip.name, info)
    out = clip.with_name(clip.name + ".mkv")
    choice = choose_encoder(info, ".mkv", EncodeSettings(codec="ffv1"))
    frames = (frame for _, frame in decode_frames(clip, index, 0, index.frame_count, clip.name))
    encode_segment(frames, np.zeros(index.frame_count, bool), info, choice, clip.with_name("part.mkv"))
    rebuild(clip, clip.name, info, index, [clip.with_name("part.mkv")], out, out.name)
    return out, verify_rebuilt(clip, out, info, index, out.name)


def sound(path: Path) -> tuple[np.ndarray, str, str | None, Fraction]:
    """Samples as floats, codec, language, and when it begins; read by other code than the program's."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        to_float = av.AudioResampler("dblp", stream.codec_context.layout, stream.codec_context.sample_rate)
        frames = list(container.decode(stream))
        start = frames[0].pts * frames[0].time_base
        values = np.concatenate([each.to_ndarray() for frame in frames for each in to_float.resample(frame)], axis=1)
        return values, stream.codec_context.codec.canonical_name, stream.metadata.get("language"), start


@pytest.mark.parametrize(
    ("name", "codec", "layout", "held"),
    [
        ("a.mov", "pcm_s8", "mono", "flac"),
        ("a.mov", "pcm_alaw", "stereo", "flac"),
        ("a.avi", "pcm_mulaw", "stereo", "flac"),
        ("a.mov", "pcm_alaw", "5.1", "flac"),
        ("a.m2ts", "pcm_bluray", "stereo", "flac"),
        ("a.mov", "pcm_f32be", "stereo", "pcm_f32le"),
        ("a.mov", "pcm_f64be", "mono", "pcm_f64le"),
    ],
)
def test_no_sample_is_lost(tmp_path: Path, name: str, codec: str, layout: str, held: str) -> None:
    clip = with_sound(tmp_path / name, codec, layout, late_seconds=0.25 if name == "a.mov" else 0)
    out, findings = master(clip)
    before, after = sound(clip), sound(out)
    assert (before[1], after[1]) == (codec, held)
    assert np.array_equal(before[0], after[0])
    assert before[2] == after[2]
    assert name != "a.mov" or after[2] == "fra"
    assert abs(before[3] - after[3]) <= Fraction(1, 1000)
    assert findings.others.streams == ()
    assert findings.others.sounds == (ConvertedSound(1, codec, held, before[0].shape[1]),)


def test_what_the_container_holds_is_left_as_it_is() -> None:
    assert held_as("pcm_s16be", "matroska") is None
    assert held_as("pcm_alaw", "mov") is None
    assert held_as("adpcm_ms", "matroska") is None
    assert held_as("pcm_s32le_planar", "matroska") is None


def test_sound_with_a_gap_is_declined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No container that the tests can write keeps one in such sound."""
    clip = with_sound(tmp_path / "a.mov", "pcm_alaw")
    encode = SoundEncoder.encode
    seen = Counter[str]()

    def late(self: SoundEncoder, packet: av.Packet | None) -> Iterator[av.Packet]:
        seen["packets"] += 1
        if packet is not None and seen["packets"] > 10:
            packet.pts = packet.dts = (packet.pts or 0) + 4800
        yield from encode(self, packet)

    monkeypatch.setattr(SoundEncoder, "encode", late)
    with pytest.raises(DeclinedVideoError, match=r"a\.mov: its audio stream 1 \(pcm_alaw\) has a gap at 0\.\d+ s"):
        master(clip)


def test_other_samples_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = with_sound(tmp_path / "a.mov", "pcm_alaw")
    out, _ = master(clip)
    found = {name: samples_of(name, 1, "a") for name in (clip, out)}
    info, index = probe(clip, "a.mov"), index_video(clip, "a.mov")
    for changed, message in (
        ({"digest": "0"}, "other samples as flac"),
        ({"count": 7999}, "other samples as flac"),
        ({"layout": "2.1"}, "other samples as flac"),
        ({"start_seconds": Fraction(1, 100)}, "would be 0.010000 s off"),
    ):
        told = {**found, out: replace(found[out], **changed), clip: replace(found[clip], layout="stereo")}
        monkeypatch.setattr(stream_check, "samples_of", lambda source, *_, told=told: told[source])
        with pytest.raises(VerificationError, match=message):
            verify_rebuilt(clip, out, info, index, out.name)


def test_sound_that_is_only_cut_otherwise_is_the_same(tmp_path: Path) -> None:
    """MOV cuts such sound into packets by how it lies between the pictures."""
    clip = with_sound(tmp_path / "a.mov", "pcm_alaw")
    info, index = probe(clip, "a.mov"), index_video(clip, "a.mov")
    cut = remuxed(clip, tmp_path / "cut.mov")
    sizes = [[p.size for p in packets_of(path)] for path in (clip, cut)]
    assert sizes[0] != sizes[1]
    verify_rebuilt(clip, cut, info, index, "a.mov")

    def spoiled(packet: av.Packet) -> av.Packet:
        if packet.stream.type == "audio" and (packet.pts or 0) > 9000:
            packet = odd_clips.replaced(packet, bytes(packet)[:-1] + b"\0")
        return packet

    with pytest.raises(VerificationError, match="audio pcm_alaw fra differs in its bytes"):
        verify_rebuilt(clip, remuxed(clip, tmp_path / "bad.mov", alter=spoiled), info, index, "a.mov")


def packets_of(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(audio=0) if packet.size]


def test_what_a_container_cannot_hold_is_known_before_anything_is_encoded(tmp_path: Path) -> None:
    clip = with_sound(tmp_path / "a.avi", "adpcm_ms")
    times = index_video(clip, "a.avi")
    assert refusal(clip, "a.avi", times, "a.avi.mkv") == (
        "a.avi: its audio stream 1 (adpcm_ms) cannot be put into a matroska file ('matroska' format does not support "
        "'adpcm_ms' codec); convert or remove it first"
    )
    plain = make_clip(tmp_path / "b.mkv", frames=6, size=(96, 64), subtitles=True, attachment=b"glyphs")
    times = index_video(plain, "b.mkv")
    assert refusal(plain, "b.mkv", times, "b.mkv") is None
    assert "audio stream 1 (aac) cannot be put into a webm file" in str(refusal(plain, "b.mkv", times, "b.webm"))
    early = replace(times, pts=times.pts - 1)
    assert "shown before time 0" in str(refusal(plain, "b.mkv", early, "b.mp4"))
    assert refusal(plain, "b.mkv", early, "b.mkv") is None
    assert muxer_for("b.mkv") == "matroska"
