"""Files that ask for more than their own bytes: for another file, an address, or memory that nobody has.

Each is made by rule from a plain clip or from nothing. It knows MP4 boxes, and nothing of the program under test.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av

from tests.media.clips import make_clip


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of MP4 and its content."""
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + kind + data


def names_another_file(folder: Path, target: Path, port: int) -> dict[str, bytes]:
    """File name -> content. Each would have FFmpeg open `target`, or a connection to `port` of this machine.

    folder: for the clip that some are made from; it is left there."""
    clip = make_clip(folder / "plain.mov", frames=4, size=(64, 48), audio=False).read_bytes()
    transport = f"tcp://127.0.0.1:{port}"
    playlist = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:5,\nfile://{target}\n#EXT-X-ENDLIST\n"
    )
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT5S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet '
        'mimeType="video/mp4"><Representation id="1" bandwidth="1" codecs="avc1.640028">'
        f"<BaseURL>file://{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    session = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    session += f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    vobsub = f"# VobSub index file, v7 (do not modify)\nsize: 64x48\nid: en, index: 0\n{target}\n"
    url = b"\0\0\0\0" + f"file://{target}".encode() + b"\0"
    return {
        "hls.mp4": playlist.encode(),
        "hls.m3u8": playlist.encode(),
        "hls_of_the_network.mp4": playlist.replace(f"file://{target}", transport).encode(),
        "concat.mp4": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "concat_of_the_network.mp4": f"ffconcat version 1.0\nfile '{transport}'\n".encode(),
        "dash.mp4": dash.encode(),
        "session.mp4": session.encode(),
        "session.sdp": session.encode(),
        "subtitles.mp4": b"[Script Info]\nTitle: x\n\n[Events]\nDialogue: 0,0:00:00.00,0:00:05.00,Default,,0,0,0,,x\n",
        "vobsub_index.mp4": vobsub.encode(),
        "quicktime_url.mov": with_data_reference(clip, box(b"url ", url)),
        "quicktime_alias.mov": with_data_reference(clip, box(b"alis", b"\0\0\0\0" + alias_record(str(target)))),
        "pictures_%03d.mp4": b"nothing",
        "pattern_*.mp4": b"nothing",
    }


def with_data_reference(mov: bytes, entry: bytes) -> bytes:
    """The MOV file with `entry` in the place of its tracks' own data reference (`url `, self-contained, 12 bytes)."""
    own = box(b"url ", b"\0\0\0\1")
    own = own if own in mov else box(b"alis", b"\0\0\0\1")
    at = mov.index(own)
    grown = bytearray(mov[:at] + entry + mov[at + len(own) :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = grown.rindex(parent, 0, at) - 4
        size = struct.unpack(">I", grown[place : place + 4])[0]
        grown[place : place + 4] = struct.pack(">I", size + len(entry) - len(own))
    return bytes(grown)


def alias_record(path: str) -> bytes:
    """A Macintosh alias (Inside Macintosh: Files, 4) that names `path` as absolute, as FFmpeg reads it."""
    fixed = struct.pack(">IHHB27sIHI63sII4sIhhIH10x", 0, 150, 2, 0, b"\1x", 0, 0, 0, b"\1x", 0, 0, b"", 0, 1, 1, 0, 0)
    name = path.encode()
    absolute = struct.pack(">hH", 18, len(name)) + name + b"\0" * (len(name) % 2)
    return fixed + absolute + struct.pack(">hH", -1, 0)


def made_of_samples(samples: int) -> bytes:
    """An MP4 file of a few hundred bytes that announces `samples` pictures of one byte each."""
    track = _track(
        box(b"stts", struct.pack(">IIII", 0, 1, samples, 1)),
        box(b"stsc", struct.pack(">IIIII", 0, 1, 1, samples, 1)),
        box(b"stsz", struct.pack(">III", 0, 1, samples)),
        box(b"stco", struct.pack(">III", 0, 1, 32)),
    )
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"mdat", bytes(64)) + box(b"moov", _movie_header(), track)


def made_of_fragments(samples: int) -> bytes:
    """The same with one fragment, whose run says nothing of its samples but how many they are."""
    empty = struct.pack(">II", 0, 0)
    track = _track(box(b"stts", empty), box(b"stsc", empty), box(b"stsz", empty + b"\0\0\0\0"), box(b"stco", empty))
    extends = box(b"mvex", box(b"trex", struct.pack(">IIIIII", 0, 1, 1, 1, 1, 0)))
    run = box(b"traf", box(b"tfhd", struct.pack(">II", 0x20000, 1)), box(b"trun", struct.pack(">II", 0, samples)))
    fragment = box(b"moof", box(b"mfhd", struct.pack(">II", 0, 1)), run)
    return (
        box(b"ftyp", b"isom\0\0\2\0isom")
        + box(b"moov", _movie_header(), track, extends)
        + fragment
        + box(b"mdat", bytes(64))
    )


def packed_header(announced: int) -> bytes:
    """A QuickTime file whose header is packed (`cmov`), and said to unpack to `announced` bytes."""
    packed = zlib.compress(bytes(1 << 20), 9)
    content = box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", announced) + packed)
    return box(b"moov", box(b"cmov", *content)) + box(b"mdat", bytes(64))


def with_one_large_picture(path: Path, size: tuple[int, int], number: int = 3) -> Path:
    """Motion JPEG in AVI of small pictures, of which one says that it is of `size` (width, height)."""
    plain = make_clip(
        path.with_name("plain.avi"), codec="mjpeg", pixel_format="yuvj420p", size=(64, 48), frames=8, audio=False
    )
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for at, packet in enumerate(source.demux(video=0)):
            if not packet.size:
                continue
            data = bytearray(bytes(packet))
            if at == number:
                frame_header = data.index(b"\xff\xc0")
                data[frame_header + 5 : frame_header + 9] = struct.pack(">HH", size[1], size[0])
            changed = av.Packet(bytes(data))
            changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
            changed.is_keyframe, changed.stream = True, stream
            target.mux(changed)
    return path


def _movie_header() -> bytes:
    matrix = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    return box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, 1000), bytes(16), matrix, bytes(24), b"\0\0\0\2")


def _track(*tables: bytes) -> bytes:
    matrix = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    header = box(
        b"tkhd", struct.pack(">IIIIII", 7, 0, 0, 1, 0, 1000), bytes(16), matrix, struct.pack(">II", 64 << 16, 48 << 16)
    )
    kind = box(b"hdlr", struct.pack(">II4s", 0, 0, b"vide"), bytes(13))
    picture = struct.pack(">6xH16xHHIII32xHh", 1, 64, 48, 72 << 16, 72 << 16, 0, 24, -1)
    picture = picture[:40] + b"\0\1" + picture[42:]
    described = box(b"stsd", struct.pack(">II", 0, 1), box(b"mp4v", picture))
    own = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), box(b"url ", b"\0\0\0\1")))
    media = box(b"minf", box(b"vmhd", bytes(12)), own, box(b"stbl", described, *tables))
    times = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, 1000, 0x55C4, 0))
    return box(b"trak", header, box(b"mdia", times, kind, media))
