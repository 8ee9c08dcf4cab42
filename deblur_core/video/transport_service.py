"""What a transport stream says of its service outside all streams: names and numbers in its PAT and SDT (ISO/IEC
13818-1 and ETSI EN 300 468), which FFmpeg's muxer writes anew and so must be told.

It knows those two tables and nothing of the streams themselves.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from deblur_core.video.source import Source
from deblur_core.video.transport_tables import PAT, PAT_PID, head_of, programs_of, tables

_SDT_PID, _SDT_OF_THIS_STREAM = 0x11, 0x42
_SERVICE_DESCRIPTOR = 0x48
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


def read_service(source: Source) -> TransportService:
    """Reads the first tables of a transport stream; of one with several programs only how many they are, and of what is
    no transport stream nothing."""
    found: dict[int, bytes] = {}
    for table in tables(head_of(source), {PAT_PID, _SDT_PID}):
        found.setdefault(table[0], table)
        if PAT in found and _SDT_OF_THIS_STREAM in found:
            break
    pat, sdt = found.get(PAT, b""), found.get(_SDT_OF_THIS_STREAM, b"")
    programs = programs_of(pat)
    if len(programs) != 1:
        return TransportService(programs=len(programs))
    (number, pid), stream_id = programs[0], int.from_bytes(pat[3:5], "big")
    network = int.from_bytes(sdt[8:10], "big") if sdt else None
    kind, provider, name = _described(sdt, number)
    return TransportService(1, stream_id, number, pid, network, kind, provider, name)


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
