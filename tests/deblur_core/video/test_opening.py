"""What FFmpeg may open: the file that it is given, if it is a video of a supported kind, and nothing else."""

import ast
import ctypes
import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from deblur_core.errors import DeclinedVideoError, NotAVideoError, VideoError
from deblur_core.video.allowed_media import DEMUXERS, VIDEO_DECODERS, input_options
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe
from deblur_core.video.source import open_input
from tests.media import hostile_files, make_clip

ROOT = Path(__file__).parents[3]
_IN_OPEN, _NON_BLOCKING = 0x20, os.O_NONBLOCK


class Canary:
    """A video that nobody may open, and a port that nobody may call."""

    def __init__(self, folder: Path) -> None:
        self.video = make_clip(folder / "canary.mp4", frames=4, size=(64, 48), audio=False)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(_NON_BLOCKING)
        assert self._libc.inotify_add_watch(self._watch, os.fsencode(self.video), _IN_OPEN) >= 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def was_touched(self) -> bool:
        """Since the last time."""
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            pass
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._watch)
        self._listener.close()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    (tmp_path / "elsewhere").mkdir()
    bird = Canary(tmp_path / "elsewhere")
    yield bird
    bird.close()


def test_the_canary_notices_who_opens_it_and_who_calls(canary: Canary) -> None:
    assert not canary.was_touched()
    canary.video.read_bytes()
    assert canary.was_touched() and not canary.was_touched()
    socket.create_connection(("127.0.0.1", canary.port)).close()
    assert canary.was_touched()


def test_ffmpeg_left_alone_would_open_what_a_list_names(canary: Canary, tmp_path: Path) -> None:
    script = tmp_path / "script.mp4"
    script.write_text(f"ffconcat version 1.0\nfile '{canary.video}'\n")
    with av.open(str(script), container_options={"safe": "0"}) as container:
        assert next(container.decode(video=0)).width == 64
    assert canary.was_touched()


def test_no_file_has_another_one_opened_and_each_gets_one_clear_line(canary: Canary, tmp_path: Path) -> None:
    lines = {}
    for name, content in hostile_files.names_another_file(tmp_path, canary.video, canary.port).items():
        path = tmp_path / name
        path.write_bytes(content)
        for read in (probe, index_video):
            with pytest.raises(VideoError) as caught, path.open("rb") as file:
                read(file, name)
            assert not canary.was_touched(), name
        with pytest.raises(VideoError), open_input(path, name):
            pass
        assert not canary.was_touched(), name
        lines[name] = str(caught.value)
    assert all(line.startswith(f"{name}: ") and len(line.splitlines()) == 1 for name, line in lines.items())
    for name, words in {
        "hls.mp4": "is not a video but a playlist",
        "dash.mp4": "is not a video but a playlist",
        "concat.mp4": "a list of files for FFmpeg",
        "session.mp4": "the description of a network session",
        "subtitles.mp4": "a file of subtitles",
        "quicktime_url.mov": "lies in another file",
        "quicktime_alias.mov": "lies in another file",
    }.items():
        assert words in lines[name]


def test_a_name_that_is_an_address_or_a_pattern_is_only_a_name(canary: Canary, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name in (f"concat:{canary.video}", f"tcp://127.0.0.1:{canary.port}", f"file:{canary.video}", "%d.png"):
            with pytest.raises(NotAVideoError, match="cannot be opened"):
                probe(name, name)
            assert not canary.was_touched()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"GIF89a", "a picture"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a picture"),
        (b"OTTO\0\x0c", "a font"),
        (b"\x00\x01\x00\x00\x00\x11", "a font"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "a sound file"),
        (b"WEBVTT\n\n", "a file of subtitles"),
        (b"<?xml version='1.0'?><svg/>", "a picture"),
        (b"PK\x03\x04", "a ZIP archive"),
    ],
)
def test_pictures_fonts_and_texts_are_no_videos(tmp_path: Path, head: bytes, kind: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(head + bytes(300))
    with pytest.raises(NotAVideoError, match=f"a.mp4: is not a video but {kind}"):
        probe(path, "a.mp4")


def test_one_jpeg_is_a_picture_and_several_are_a_video(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", audio=False))) as container:
        pictures = [bytes(packet) for packet in container.demux() if packet.size]
    (tmp_path / "one.mjpeg").write_bytes(pictures[0])
    (tmp_path / "many.mjpeg").write_bytes(b"".join(pictures))
    with pytest.raises(NotAVideoError, match="is not a video but a picture"):
        probe(tmp_path / "one.mjpeg", "one.mjpeg")
    assert index_video(tmp_path / "many.mjpeg", "many.mjpeg").frame_count == len(pictures)


def test_a_still_picture_in_boxes_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(
        hostile_files.box(b"ftyp", b"heic\0\0\0\0mif1heic")
        + hostile_files.box(b"meta", struct.pack(">I", 0), hostile_files.box(b"hdlr", bytes(24)))
        + hostile_files.box(b"mdat", bytes(64))
    )
    with pytest.raises(NotAVideoError, match="still picture"):
        probe(path, "a.mp4")


def test_a_video_of_a_codec_that_is_not_on_the_list_is_declined(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", codec="asv1", audio=False, frames=4)
    with pytest.raises(DeclinedVideoError, match="coded as asv1, which is not supported"):
        probe(path, "a.avi")


def test_the_lists_name_what_this_ffmpeg_has() -> None:
    known = {name for each in av.formats_available for name in each.split(",")}
    assert not DEMUXERS - known
    # PyAV knows decoders by the same names; those of another build of FFmpeg may be missing here.
    assert len(VIDEO_DECODERS & av.codecs_available) >= len(VIDEO_DECODERS) - 4


@pytest.mark.parametrize("hold", ["protocol_whitelist", "format_whitelist"])
def test_each_hold_on_ffmpeg_suffices_alone(canary: Canary, tmp_path: Path, hold: str) -> None:
    script = tmp_path / "script.mp4"
    script.write_text(f"ffconcat version 1.0\nfile '{canary.video}'\n")
    with pytest.raises(av.FFmpegError), script.open("rb") as file:
        av.open(file, container_options={"safe": "0", hold: input_options()[hold]})
    assert not canary.was_touched()


def test_a_decoder_that_is_not_on_the_list_is_not_even_tried(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", codec="asv1", audio=False, frames=4)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    with open_input(path, "a.avi") as container:
        assert container.streams.video[0].codec_context.pix_fmt is None


def test_nothing_but_open_input_has_ffmpeg_open_a_file_for_reading() -> None:
    found = []
    for package in ("deblur_core", "workers", "flows"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            assert not re.search(r"from av\S* import .*\bopen\b|VideoCapture", text), path
            calls = (
                (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)) if "av.open" in text else ()
            )
            for call in calls:
                modes = [each.value for each in call.args[1:2] if isinstance(each, ast.Constant)]
                if ast.unparse(call.func) == "av.open" and modes != ["w"]:
                    found.append(str(path.relative_to(ROOT)))
    assert found == ["deblur_core/video/source.py"]
