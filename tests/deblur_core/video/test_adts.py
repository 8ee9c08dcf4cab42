"""AAC whose packets have headers of their own (transport streams) goes into Matroska without them, and nothing else of
it changes."""

from pathlib import Path
from typing import Any

import av
import pytest

from deblur_core.errors import VerificationError
from deblur_core.provenance.proof import repeat_proof
from deblur_core.storage.folder import FolderObjectStore
from deblur_core.video.adts import AacConfig, AdtsHeader, adts_header, config_of
from deblur_core.video.held_streams import refusal
from deblur_core.video.index import index_video
from deblur_core.video.preservation import master_name
from deblur_core.video.probe import probe
from deblur_core.video.verify import verify_rebuilt
from tests.deblur_core.video.whole_path import rebuilt
from tests.fidelity.quick_line import restored
from tests.media import make_clip

LC_48K_MONO = AacConfig(2, 3, 1)


def framed(payload: bytes, *, checksum: bool = False, blocks: int = 1, channels: int = 1, rate: int = 3) -> bytes:
    """A packet of AAC-LC as ISO/IEC 14496-3, 1.A.2.2 has it, field by field."""
    length = 7 + 2 * checksum + len(payload)
    fields = [(0xFFF, 12), (0, 1), (0, 2), (not checksum, 1), (1, 2), (rate, 4), (0, 1), (channels, 3), (0, 4)]
    fields += [(length, 13), (0x7FF, 11), (blocks - 1, 2)]
    bits = "".join(f"{int(value):0{width}b}" for value, width in fields)
    return int(bits, 2).to_bytes(7, "big") + b"\xab\xcd" * checksum + payload


def sounds(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def with_sound(clip: Path, target: Path, change: Any) -> Path:
    """`clip` with other packets of sound, of which the muxer must make nothing itself."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0], opaque=True)
        sound = out.add_stream_from_template(source.streams.audio[0], opaque=True)
        sound.metadata["language"] = "eng"
        number = 0
        for packet in source.demux():
            if packet.size and packet.stream.type == "video":
                packet.stream = video
                out.mux(packet)
            elif packet.size:
                other = av.Packet(change(number, bytes(packet)))
                other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
                other.duration, other.stream = packet.duration, sound
                out.mux(other)
                number += 1
    return target


def test_a_header_is_read_field_by_field() -> None:
    assert adts_header(framed(b"sound")) == AdtsHeader(LC_48K_MONO, 7, 1)
    assert adts_header(framed(b"sound", checksum=True, blocks=3)) == AdtsHeader(LC_48K_MONO, 9, 3)
    assert adts_header(framed(b"sound", channels=6, rate=4)) == AdtsHeader(AacConfig(2, 4, 6), 7, 1)
    assert adts_header(framed(b"sound")[:-1]) == AdtsHeader(LC_48K_MONO, 7, 1)
    for none in (b"", b"\xff\xf1", framed(b"sound") + b"!", framed(b""), b"\xde\x02" + framed(b"sound")):
        assert adts_header(none) is None
    assert config_of(b"\x11\x88\x56\xe5\x00") == LC_48K_MONO
    assert config_of(b"\x12\x10") == AacConfig(2, 4, 2)
    assert config_of(b"\x2b\x11") is None  # object type 5
    assert config_of(b"") is None


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aac") / "in"
    folder.mkdir()
    return make_clip(folder / "a.ts", frames=12, size=(64, 48), gop=6, audio=2)


def test_a_master_of_a_transport_stream_holds_its_sound(clip: Path) -> None:
    outcome = restored(clip, clip.parents[1] / "out", codec="ffv1")
    assert outcome.error is None
    assert outcome.restored
    assert outcome.path == clip.parents[1] / "out" / "a.ts.mkv"
    before = sounds(clip)
    assert all(adts_header(packet) for packet in before)
    assert sounds(outcome.path) == [packet[7:] for packet in before]
    with av.open(str(outcome.path)) as container:
        assert [config_of(each.codec_context.extradata or b"") for each in container.streams.audio] == [LC_48K_MONO] * 2
    source, destination = FolderObjectStore(clip.parent), FolderObjectStore(outcome.path.parent)
    proof = repeat_proof(source, source.head("a.ts"), destination, ["a.ts", master_name("a.ts")])
    assert proof.problems == ()
    with av.open(str(outcome.path)) as container:
        decoded = [frame.to_ndarray() for frame in container.decode(audio=0)]
    with av.open(str(clip)) as container:
        assert [frame.to_ndarray().tolist() for frame in container.decode(audio=0)] == [d.tolist() for d in decoded]


def test_a_recording_that_ends_amid_a_packet_has_its_master(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", frames=12, size=(64, 48), gop=6)
    (tmp_path / "in").mkdir()
    data = clip.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    sound = next(
        number for number in reversed(range(len(packets))) if packets[number][1] & 0x1F == packets[number][2] == 1
    )
    cut = tmp_path / "in" / "cut.ts"
    cut.write_bytes(b"".join(packets[:sound]))
    before = sounds(cut)
    assert len(before) == len(sounds(clip))
    assert len(before[-1]) < len(sounds(clip)[-1])
    outcome = restored(cut, tmp_path / "out", codec="ffv1")
    assert outcome.error is None
    assert outcome.path is not None
    assert sounds(outcome.path) == [packet[7:] for packet in before]


def test_any_other_byte_or_description_is_named(tmp_path: Path) -> None:
    single = make_clip(tmp_path / "b.ts", frames=12, size=(64, 48), gop=6)
    info, index = probe(single, "b.ts"), index_video(single, "b.ts")
    bare = with_sound(single, tmp_path / "bare.mkv", lambda _, packet: packet)
    verify_rebuilt(single, bare, info, index, "b.ts.mkv")

    def spoiled(number: int, packet: bytes) -> bytes:
        return packet if number != 4 else packet[:-1] + bytes([packet[-1] ^ 1])

    with pytest.raises(VerificationError, match="audio aac eng differs in the bytes of packet 4"):
        verify_rebuilt(single, with_sound(single, tmp_path / "bad.mkv", spoiled), info, index, "b.ts.mkv")

    def as_if_stereo(_: int, packet: bytes) -> bytes:
        return framed(packet[7:], channels=2)

    with pytest.raises(VerificationError, match="described as another kind of AAC"):
        verify_rebuilt(single, with_sound(single, tmp_path / "wide.mkv", as_if_stereo), info, index, "b.ts.mkv")


def test_a_container_that_wants_headers_gets_them(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=12, size=(64, 48), gop=6, start_seconds=1)
    out, info, index, _ = rebuilt(clip.rename(tmp_path / "b.ts"), tmp_path)
    assert [packet[7:] for packet in sounds(out)] == sounds(tmp_path / "b.ts") != []
    verify_rebuilt(tmp_path / "b.ts", out, info, index, "b.ts")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"blocks": 2}, "has several blocks of sound in one packet"),
        ({"channels": 0}, "tells its channels amid its packets"),
        ({"channels": 2}, "changes its rate or its channels"),
    ],
)
def test_what_one_header_for_all_cannot_say_is_declined(tmp_path: Path, change: dict[str, int], reason: str) -> None:
    clip = make_clip(tmp_path / "a.ts", frames=12, size=(64, 48), gop=6)
    times = index_video(clip, "a.ts")
    assert refusal(clip, "a.ts", times, "a.ts.mkv") is None
    odd = with_sound(
        clip, tmp_path / "odd.ts", lambda number, packet: packet if number < 3 else framed(packet[7:], **change)
    )
    words = str(refusal(odd, "odd.ts", times, "odd.ts.mkv"))
    assert words.startswith(f"odd.ts: its audio stream 1 (aac) {reason} at ")
    assert words.endswith("s, which a matroska file cannot hold; convert the sound first")
    assert refusal(odd, "odd.ts", times, "odd.ts") is None


def test_a_checksum_behind_the_header_is_no_sound(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", frames=12, size=(64, 48), gop=6)
    summed = with_sound(clip, tmp_path / "summed.ts", lambda _, packet: framed(packet[7:], checksum=True))
    result = with_sound(summed, tmp_path / "b.mkv", lambda _, packet: packet)
    assert sounds(result) == [packet[9:] for packet in sounds(summed)] == [packet[7:] for packet in sounds(clip)]
    verify_rebuilt(summed, result, probe(summed, "a.ts"), index_video(summed, "a.ts"), "a.ts.mkv")
