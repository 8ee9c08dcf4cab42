"""Clips with sound of kinds that few containers hold.

It knows PyAV and nothing of the program under test.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.media.clips import make_clip

_RATE = 48000
_BLOCK = 3000


def with_sound(path: Path, codec: str, layout: str = "stereo", late_seconds: float = 0.0) -> Path:
    """A clip of 24 frames with a second of noise as `codec`, an encoder's name; the suffix says the container.

    late_seconds: when the sound begins.
    """
    pictures = "mpeg4" if path.suffix == ".avi" else "libx264"
    plain = make_clip(
        path.with_name(f"plain{path.suffix}"), frames=24, size=(96, 64), gop=6, codec=pictures, audio=False
    )
    random = np.random.default_rng(1)
    with av.open(str(plain)) as before, av.open(str(path), "w") as after:
        picture = after.add_stream_from_template(before.streams.video[0], opaque=True)
        sound = after.add_stream(codec, rate=_RATE, layout=layout)
        sound.metadata["language"] = "fra"
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = picture
                after.mux(packet)
        channels = sound.codec_context.layout.nb_channels
        fit = av.AudioResampler(sound.codec_context.format.name, layout, _RATE)
        at = round(late_seconds * _RATE)
        for _ in range(16):
            noise = random.uniform(-0.9, 0.9, (1, _BLOCK * channels)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, "flt", layout)
            frame.sample_rate, frame.pts, frame.time_base = _RATE, at, Fraction(1, _RATE)
            for fitted in fit.resample(frame):
                after.mux(sound.encode(fitted))
            at += _BLOCK
        after.mux(sound.encode(None))
    plain.unlink()
    return path
