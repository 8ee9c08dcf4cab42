"""A clip of moving texture in which chosen frames are shaken hard enough that no selector can miss them, with a tone.

Knows nothing of the program but its model of camera shake.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from deblur_core.synthesis import motion
from tests.media import encode_frames, make_clip, moving_texture

SHAKEN = ((10, 18), (30, 34))


def shaken_clip(
    path: Path,
    *,
    frames: int = 48,
    shaken: Sequence[tuple[int, int]] = SHAKEN,
    size: tuple[int, int] = (240, 160),
    gop: int = 12,
    codec: str = "libx264",
    seed: int = 0,
) -> Path:
    """Writes the clip; the frames of each (first, stop) in `shaken` are blurred by a path of 9 px. Returns `path`."""
    folder = path.parent / f".{path.name}.parts"
    folder.mkdir(parents=True)
    pictures = encode_frames(
        folder / f"pictures{path.suffix}", _pictures(frames, shaken, size, seed), gop=gop, codec=codec
    )
    tone = make_clip(folder / f"tone{path.suffix}", frames=frames, size=(64, 48), gop=gop, codec=codec)
    _join(pictures, tone, path)
    for part in folder.iterdir():
        part.unlink()
    folder.rmdir()
    return path


def _pictures(frames: int, shaken: Sequence[tuple[int, int]], size: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    for number, picture in enumerate(moving_texture(frames, size, seed)):
        if any(first <= number < stop for first, stop in shaken):
            kernel = motion.path_kernel(motion.shake_path(random, 9.0))
            yield motion.convolve(picture.astype(np.float32), kernel).clip(0, 255).astype(np.uint8)
        else:
            yield picture


def _join(pictures: Path, tone: Path, target: Path) -> None:
    """The picture of one file and the sound of the other, packet by packet."""
    with av.open(str(pictures)) as seen, av.open(str(tone)) as heard, av.open(str(target), "w") as joined:
        video = joined.add_stream_from_template(seen.streams.video[0], opaque=True)
        sound = joined.add_stream_from_template(heard.streams.audio[0], opaque=True)
        packets: list[av.Packet] = []
        for container, kind, stream in ((seen, "video", video), (heard, "audio", sound)):
            for packet in container.demux(**{kind: 0}):
                if packet.size:
                    packet.stream = stream
                    packets.append(packet)
        packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        joined.mux(packets)
