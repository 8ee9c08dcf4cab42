"""What a camera makes of the light of a whole clip: its sensor's noise, 8 bits, and one encoder for all the frames.

Knows nothing about blur: sharp and blurred frames are recorded alike, so that nothing but blur tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from deblur_core.synthesis import compression, exposure

Codec = Literal["h264", "jpeg", "none"]


@dataclass(frozen=True)
class Encoder:
    """quality: x264's crf for `h264`, 1 to 100 for `jpeg`, nothing for `none`."""

    codec: Codec
    quality: float = 0.0

    @staticmethod
    def draw(
        rng: np.random.Generator, share_jpeg: float, jpeg_quality: tuple[int, int], crf: tuple[float, float]
    ) -> "Encoder":
        """JPEG for `share_jpeg` of the clips, H.264 for the others; pairs are (least, most)."""
        if rng.random() < share_jpeg:
            return Encoder("jpeg", int(rng.integers(jpeg_quality[0], jpeg_quality[1] + 1)))
        return Encoder("h264", float(rng.uniform(*crf)))

    def encode(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Frames uint8 RGB [H, W, 3] of one size, there and back; odd sides are padded for H.264 and cut again."""
        if self.codec == "none":
            return list(frames)
        if self.codec == "jpeg":
            return [compression.jpeg(frame, round(self.quality)) for frame in frames]
        height, width = frames[0].shape[:2]
        if height % 2 or width % 2:
            frames = [cv2.copyMakeBorder(f, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE) for f in frames]
        encoded = compression.h264(frames, crf=self.quality)
        return [np.ascontiguousarray(frame[:height, :width]) for frame in encoded]


@dataclass(frozen=True)
class RecordingSettings:
    """What a clip's recording is drawn from; pairs are (least, most).

    noise multiplies the sensor's noise, 0 for none; codec None leaves it to chance, `share_jpeg` of the clips JPEG.
    """

    noise: float = 1.0
    codec: Codec | None = None
    share_jpeg: float = 0.2
    jpeg_quality: tuple[int, int] = (70, 96)
    crf: tuple[float, float] = (16.0, 30.0)


@dataclass(frozen=True)
class Recording:
    """One camera and encoder."""

    noise: exposure.SensorNoise
    encoder: Encoder

    @staticmethod
    def draw(rng: np.random.Generator, settings: RecordingSettings) -> "Recording":
        """The recording of one clip."""
        noise = exposure.SensorNoise.draw(rng).scaled(settings.noise)
        if settings.codec == "none":
            return Recording(noise, Encoder("none"))
        share_jpeg = settings.share_jpeg if settings.codec is None else float(settings.codec == "jpeg")
        return Recording(noise, Encoder.draw(rng, share_jpeg, settings.jpeg_quality, settings.crf))


def sense(linear: np.ndarray, noise: exposure.SensorNoise, rng: np.random.Generator) -> np.ndarray:
    """Exposed light float32 [H, W, 3] (may exceed 1, where it clips) → uint8 [H, W, 3] with the sensor's noise."""
    noisy = np.maximum(noise.add(np.minimum(linear, 1.0), rng), 0.0)
    return exposure.quantise(exposure.to_display(noisy))


def record_sample(linear: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """A training sample's frames of linear light through one camera and one encoder drawn for it: uint8 RGB each."""
    noise = exposure.SensorNoise.draw(rng)
    frames = [exposure.quantise(exposure.to_display(np.maximum(noise.add(frame, rng), 0.0))) for frame in linear]
    kind = rng.random()
    if kind < 0.55:
        return compression.h264(frames, crf=float(rng.uniform(16, 28)), preset="superfast")
    if kind < 0.9:
        return Encoder("jpeg", int(rng.integers(70, 98))).encode(frames)
    return frames
