"""The names and numbers of a broadcast's service are read, and are there again in the result."""

from pathlib import Path

import pytest

from deblur_core.video.probe import probe
from deblur_core.video.transport_service import TransportService, read_service
from tests.deblur_core.video.whole_path import rebuilt
from tests.media import make_clip, odd_clips


@pytest.fixture
def broadcast(tmp_path: Path) -> Path:
    return odd_clips.broadcast(tmp_path / "a.ts", service_name="Zürich heute", service_provider="Télé")


def test_names_of_the_service_are_read_with_their_accents(broadcast: Path) -> None:
    service = read_service(broadcast)
    assert (service.name, service.provider, service.programs) == ("Zürich heute", "Télé", 1)


def test_the_result_has_the_service_of_its_source(broadcast: Path, tmp_path: Path) -> None:
    out, *_ = rebuilt(broadcast, tmp_path)
    assert read_service(out) == read_service(broadcast)


def test_bytes_between_the_packets_of_a_disc_do_not_matter(broadcast: Path, tmp_path: Path) -> None:
    data = broadcast.read_bytes()
    packets = [b"\x12\x34\x56\x78" + data[at : at + 188] for at in range(0, len(data), 188)]
    (tmp_path / "a.m2ts").write_bytes(b"".join(packets))
    assert read_service(tmp_path / "a.m2ts") == read_service(broadcast)


def test_an_open_file_is_read_from_its_start(broadcast: Path) -> None:
    with broadcast.open("rb") as file:
        file.seek(1000)
        assert read_service(file) == read_service(broadcast)


def test_several_programs_are_counted_and_found_by_the_probe(tmp_path: Path) -> None:
    clip = odd_clips.two_programs(tmp_path / "a.ts")
    assert read_service(clip) == TransportService(programs=2)
    assert "several programs" in probe(clip, "a.ts").dynamic_metadata


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_other_containers_have_no_service(tmp_path: Path, name: str) -> None:
    assert read_service(make_clip(tmp_path / name, frames=4, size=(64, 48))) == TransportService()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain", "plain"),
        (b"\x15Z\xc3\xbcrich", "Zürich"),
        (b"Z\xc8urich", "Zürich"),  # ISO 6937: the accent first
        (b"\x05\xdc", "Ü"),  # ISO 8859-9
        (b"\x10\x00\x02\xe3", "ă"),  # ISO 8859-2
        (b"\x11\x00Z\x00\xfc", "Zü"),  # UTF-16
    ],
)
def test_every_alphabet_of_a_service_name_is_read(tmp_path: Path, written: bytes, read: str) -> None:
    clip = odd_clips.broadcast(tmp_path / "a.ts", service_name="x" * len(written), service_provider="p")
    clip.write_bytes(clip.read_bytes().replace(b"x" * len(written), written))
    assert read_service(clip).name == read
