"""What a transport stream says of its service outside all streams: names and numbers in its PAT and SDT (ISO/IEC
13818-1 and ETSI EN 300 468), which FFmpeg's muxer writes anew and so must be told.

It knows those two tables and nothing of the streams themselves.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from deblur_core.video.source import Source

_SEARCHED_BYTES = 4 << 20
_ENOUGH_TO_TELL = 2 << 10
_SYNC = 0x47
_PAT_PID, _SDT_PID = 0, 0x11
_PAT, _SDT_OF_THIS_STREAM = 0x00, 0x42
_SERVICE_DESCRIPTOR = 0x48
_CRC_BYTES = 4
# ISO 6937: a letter follows its accent.
_ACCENTS = dict(zip(range(0xC1, 0xC9), "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308", strict=True)) | {
    0xCA: "\u030a",
    0xCB: "\u0327",
    0xCD: "\u030b",
    0xCE: "\u0328",
    0xCF: "\u030c",
}


@dataclass(frozen=True)
class TransportService:
    """programs: how many the stream has; numbers are None and names empty where it does not say."""

    programs: int = 0
    transport_stream_id: int | None = None
    service_id: int | None = None
    pmt_pid: int | None = None
    network_id: int | None = None
    service_type: int | None = None
    provider: str = ""
    name: str = ""

    def muxer_options(self) -> dict[str, str]:
        """For FFmpeg's muxer of transport streams."""
        told = {
            "mpegts_transport_stream_id": self.transport_stream_id,
            "mpegts_service_id": self.service_id,
            "mpegts_pmt_start_pid": self.pmt_pid,
            "mpegts_original_network_id": self.network_id,
            "mpegts_service_type": self.service_type,
        }
        return {key: str(value) for key, value in told.items() if value}

    def metadata(self) -> dict[str, str]:
        """The same muxer makes names up unless it is told that there are none."""
        return {"service_name": self.name, "service_provider": self.provider}


@dataclass
class _Section:
    """A table on its way through the packets of one PID."""

    data: bytearray = field(default_factory=bytearray)
    begun: bool = False

    def complete(self) -> bytes | None:
        length = 3 + (int.from_bytes(self.data[1:3], "big") & 0xFFF) if len(self.data) > 3 else None
        return bytes(self.data[: length - _CRC_BYTES]) if length and len(self.data) >= length else None


def read_service(source: Source) -> TransportService:
    """Reads the first tables of a transport stream; of one with several programs only how many they are, and of what is
    no transport stream nothing."""
    tables: dict[int, bytes] = {}
    for section in _sections(_head(source)):
        tables.setdefault(section[0], section)
        if _PAT in tables and _SDT_OF_THIS_STREAM in tables:
            break
    pat, sdt = tables.get(_PAT, b""), tables.get(_SDT_OF_THIS_STREAM, b"")
    programs = [
        (int.from_bytes(pat[at : at + 2], "big"), int.from_bytes(pat[at + 2 : at + 4], "big") & 0x1FFF)
        for at in range(8, len(pat) - 3, 4)
    ]
    programs = [program for program in programs if program[0]]
    if len(programs) != 1:
        return TransportService(programs=len(programs))
    (number, pid), stream_id = programs[0], int.from_bytes(pat[3:5], "big")
    network = int.from_bytes(sdt[8:10], "big") if sdt else None
    kind, provider, name = _described(sdt, number)
    return TransportService(1, stream_id, number, pid, network, kind, provider, name)


def _head(source: Source) -> bytes:
    """Nothing of what is no transport stream."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            return _searched(file)
    source.seek(0)
    return _searched(source)


def _searched(file: BinaryIO) -> bytes:
    start = file.read(_ENOUGH_TO_TELL)
    return start + file.read(_SEARCHED_BYTES - len(start)) if _framing(start)[0] else b""


def _sections(data: bytes) -> Iterator[bytes]:
    """The tables of the two PIDs, without their checksums, as they come."""
    size, start = _framing(data)
    open_sections: dict[int, _Section] = {_PAT_PID: _Section(), _SDT_PID: _Section()}
    for at in range(start, len(data) - 187, size) if size else ():
        packet = data[at : at + 188]
        section = open_sections.get(int.from_bytes(packet[1:3], "big") & 0x1FFF)
        if section is None or packet[0] != _SYNC or not packet[3] & 0x10:
            continue
        payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if packet[1] & 0x40 and payload:
            section.data, section.begun = bytearray(payload[1 + payload[0] :]), True
        elif section.begun:
            section.data += payload
        complete = section.complete()
        if complete is not None:
            section.begun = False
            section.data = bytearray()
            yield complete


def _framing(data: bytes) -> tuple[int, int]:
    """(bytes from packet to packet, place of the first); (0, 0) where there are none."""
    for size, lead in ((188, 0), (192, 4), (204, 0)):
        for start in range(lead, min(lead + size, len(data) - 3 * size)):
            if all(data[start + number * size] == _SYNC for number in range(4)):
                return size, start
    return 0, 0


def _described(sdt: bytes, number: int) -> tuple[int | None, str, str]:
    """(type, provider, name) of the service `number`."""
    at = 11
    while at + 5 <= len(sdt):
        end = at + 5 + (int.from_bytes(sdt[at + 3 : at + 5], "big") & 0xFFF)
        if int.from_bytes(sdt[at : at + 2], "big") == number:
            return _service_descriptor(sdt[at + 5 : end])
        at = end
    return None, "", ""


def _service_descriptor(descriptors: bytes) -> tuple[int | None, str, str]:
    at = 0
    while at + 2 <= len(descriptors):
        body = descriptors[at + 2 : at + 2 + descriptors[at + 1]]
        if descriptors[at] == _SERVICE_DESCRIPTOR and len(body) > 2:
            provider_end = 2 + body[1]
            return body[0], _text(body[2:provider_end]), _text(body[provider_end + 1 :])
        at += 2 + descriptors[at + 1]
    return None, "", ""


def _text(data: bytes) -> str:
    """EN 300 468, Annex A: the first byte may name the alphabet."""
    if not data:
        return ""
    first = data[0]
    if first == 0x15:
        return data[1:].decode("utf-8", "replace")
    if first == 0x11:
        return data[1:].decode("utf-16-be", "replace")
    if first == 0x10 and len(data) > 2:
        return data[3:].decode(f"iso8859_{data[2]}", "replace")
    if 0x01 <= first <= 0x0B:
        return data[1:].decode(f"iso8859_{first + 4}", "replace")
    text, accent = "", ""
    for byte in data:
        if byte in _ACCENTS:
            accent = _ACCENTS[byte]
        else:
            text, accent = text + chr(byte) + accent, ""
    return unicodedata.normalize("NFC", text)
