"""Makes hours of video in minutes: a loop of a drifting, noisy texture is encoded twice, sharp and partly shaken, and
their packets are repeated.

Every GOP is closed and both loops have the same parameters, so that the file is what an encoder would have made of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from av.packet import Packet

from deblur_core.errors import UsageError
from deblur_core.synthesis import motion
from deblur_core.video.source import open_input

LOOP_SECONDS = 48
"""Whole GOPs, an even number of them (x264 numbers IDR pictures in turn), and whole AAC frames at 48 kHz."""
LOOP_GOPS = 30
_SHAKEN_GOPS = (0, 8, 29)
_SOUND_RATE, _SOUND_FRAME = 48000, 1024
_BLUR_PIXELS_OF_WIDTH = 1 / 60


@dataclass(frozen=True)
class LongVideo:
    """What the source holds. gop: frames of each of its GOPs; shaken: numbers of the blurred frames."""

    path: Path
    frames: int
    gop: int
    size_bytes: int
    shaken: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """How the source looks. A frame rate that is no multiple of 5/8 has no whole GOPs in a loop."""

    width: int
    height: int
    rate: Fraction
    bits_per_second: int

    @property
    def gop(self) -> int:
        return self.loop_frames // LOOP_GOPS

    @property
    def loop_frames(self) -> int:
        return int(self.rate * LOOP_SECONDS)

    @property
    def shaken(self) -> tuple[int, ...]:
        """Frames of a shaken loop: five in each of three GOPs, around one that a stride of half a GOP measures."""
        return tuple(gop * self.gop + self.gop // 4 + beside for gop in _SHAKEN_GOPS for beside in range(-2, 3))


def make_long_video(path: Path, picture: Picture, loops: int, shaken_loops: Iterable[int]) -> LongVideo:
    """Writes an H.264 MP4 with AAC sound of `loops` times 48 s, unless `path` exists, which is then believed to be it;
    loops whose number is in `shaken_loops` are shaken.

    Raises UsageError for a frame rate that gives no whole GOPs.
    """
    if picture.rate * LOOP_SECONDS % LOOP_GOPS:
        raise UsageError(f"{picture.rate} frames a second give no whole GOPs: take a multiple of 5/8")
    shaken = set(shaken_loops)
    if not path.exists():
        _write(path, picture, loops, shaken)
    blurred = tuple(loop * picture.loop_frames + frame for loop in sorted(shaken) for frame in picture.shaken)
    return LongVideo(path, loops * picture.loop_frames, picture.gop, path.stat().st_size, blurred)


def _write(path: Path, picture: Picture, loops: int, shaken: set[int]) -> None:
    with TemporaryDirectory(prefix=".making-", dir=path.parent) as folder:
        pieces = {kind: Path(folder) / f"loop{int(kind)}.mp4" for kind in (False, True)}
        for kind, piece in pieces.items():
            _encode_loop(piece, picture, picture.shaken if kind else ())
        whole = Path(folder) / "whole.mp4"
        with av.open(str(whole), "w", options={"movie_timescale": "90000"}) as target:
            with open_input(pieces[False], "a loop") as template:
                streams = {each.index: target.add_stream_from_template(each, opaque=True) for each in template.streams}
            for number in range(loops):
                for packet in _loop_packets(pieces[number in shaken], picture, number):
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)
        whole.replace(path)


def _encode_loop(path: Path, picture: Picture, shaken: tuple[int, ...]) -> None:
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=picture.rate)
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        video.bit_rate = picture.bits_per_second
        video.codec_context.thread_count = 1
        gop = f"keyint={picture.gop}:min-keyint={picture.gop}:scenecut=0:open-gop=0:bframes=2:stitchable=1"
        video.options = {"preset": "veryfast", "tune": "fastdecode", "x264-params": gop}
        sound = out.add_stream("aac", rate=_SOUND_RATE, layout="stereo")
        for number, frame in enumerate(_frames(picture, shaken)):
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for tone in _tones(LOOP_SECONDS * _SOUND_RATE):
            out.mux(sound.encode(tone))
        out.mux(sound.encode(None))


def _loop_packets(path: Path, picture: Picture, place: int) -> Iterator[Packet]:
    """Those of a loop as the `place`-th of a file, in the order in which they are stored."""
    with open_input(path, path.name) as loop:
        left = {"video": picture.loop_frames, "audio": LOOP_SECONDS * _SOUND_RATE // _SOUND_FRAME}
        for packet in loop.demux():
            if not packet.size or not left[packet.stream.type]:
                continue
            left[packet.stream.type] -= 1
            shift = int(place * LOOP_SECONDS / packet.time_base)
            packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
            yield packet


def _frames(picture: Picture, shaken: tuple[int, ...]) -> Iterator[av.VideoFrame]:
    """Grey texture that drifts out and back again, so that a loop ends where it began, with a sensor's noise."""
    width, height, count = picture.width, picture.height, picture.loop_frames
    rng = np.random.default_rng(7)
    coarse = rng.integers(20, 235, (height // 4, width // 4), np.uint8)
    wall = cv2.resize(coarse, (width * 3 // 2, height * 3 // 2), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = rng.normal(0.0, 2.0, (8, height, width)).astype(np.float32)
    for number in range(count):
        outwards = (1 - np.cos(2 * np.pi * number / count)) / 5
        left, top = int(width * outwards), int(height * outwards)
        view = wall[top : top + height, left : left + width]
        if number in shaken:
            view = motion.convolve(view, motion.path_kernel(motion.shake_path(rng, width * _BLUR_PIXELS_OF_WIDTH)))
        luma = np.clip(view + np.roll(noise[number % 8], number, axis=1), 16, 235).astype(np.uint8)
        chroma = np.full((height // 2, width), 128, np.uint8)
        yield av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")


def _tones(samples: int) -> Iterator[av.AudioFrame]:
    """Stereo; its pitch rises, so that sound at another time is other sound."""
    for start in range(0, samples, _SOUND_FRAME):
        seconds = (start + np.arange(_SOUND_FRAME)) / _SOUND_RATE
        wave = (0.2 * np.sin(2 * np.pi * (200 + 8 * seconds) * seconds)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_RATE, start, Fraction(1, _SOUND_RATE)
        yield frame
