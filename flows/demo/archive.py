"""Renders the demonstration's archive: three short videos with sound, shaken here and there, and the truth beside them.

    archive/gallery/pan.mp4         H.264, AAC, 25 frames/s: along the wall
    archive/gallery/visitor.mkv     HEVC, Opus, 30 frames/s: zooms out while a print is carried through the picture
    archive/gallery/tripod.mp4      H.264, AAC, 25 frames/s: sharp throughout
    truth/gallery/*.mkv             the same frames without blur, noise and compression (FFV1, lossless RGB)
    truth/labels.json               which frames are blurred, by video

The same seed gives the same frames. Blur is a camera's shake in linear light; each frame, sharp or not, then gets noise
and a camera's JPEG (quality 95), and the clip its archive's codec. Knows nothing of restoring.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from deblur_core.synthesis.compression import REPEATABLE
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip
from deblur_core.video.colour import from_rgb
from flows.demo.gallery import Passing, View, Wall, film
from flows.demo.melody import SAMPLE_RATE, melody

_BT709, _LIMITED = 1, 1
_SHAKEN = PartlyBlurredSettings(
    run_frames=(4, 10),
    blurred_share=(0.3, 0.4),
    blur_pixels=(6.0, 16.0),
    kind_weights=(0.75, 0.25, 0.0, 0.0),
    share_with_object=0.0,
    share_highlights=0.0,
    share_jpeg=1.0,
    jpeg_quality=(95, 95),
    noise=0.5,
)
_STEADY = replace(_SHAKEN, blurred_share=(0.0, 0.0))


@dataclass(frozen=True)
class Clip:
    """What to film. `start` and `stop` are photographs of the wall with an offset and a zoom; `size` is (width,
    height) in pixels; `shaken` false leaves every frame sharp."""

    video: str
    frames: int
    size: tuple[int, int]
    rate: int
    codec: str
    sound_codec: str
    start: tuple[str, float, float]
    stop: tuple[str, float, float]
    passing: Passing | None = None
    shaken: bool = True


CLIPS = (
    Clip("gallery/pan.mp4", 75, (960, 540), 25, "libx264", "aac", ("rocket", 60, 1.0), ("astronaut", 90, 1.0)),
    Clip(
        "gallery/visitor.mkv", 72, (960, 540), 30, "libx265", "libopus", ("coffee", -60, 1.12), ("coffee", 170, 0.9),
        Passing("chelsea", (0.95, 0.62), (0.12, 0.6)),
    ),
    Clip(
        "gallery/tripod.mp4", 60, (960, 540), 25, "libx264", "aac", ("camera", -150, 1.0), ("camera", -40, 1.08),
        shaken=False,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Rendered:
    """One clip as it was made; `labels`: bool [T], true where blurred."""

    video: str
    labels: np.ndarray


def truth_path(directory: Path, video: str) -> Path:
    """Where the truth of a video lies: Matroska whatever the video's own container."""
    return (directory / "truth" / video).with_suffix(".mkv")


def render(
    clip: Clip, wall: Wall, photographs: Mapping[str, np.ndarray], directory: Path, rng: np.random.Generator
) -> Rendered:
    """Films, shakes and writes one clip to `directory`/archive and its truth to `directory`/truth."""
    passing = (clip.passing, photographs[clip.passing.name]) if clip.passing else None
    views = (_view(wall, *clip.start), _view(wall, *clip.stop))
    sharp = list(film(wall, views, clip.frames, clip.size, rng, passing))
    taken = blur_clip(sharp, rng, _SHAKEN if clip.shaken else _STEADY)
    del sharp
    _write_truth(truth_path(directory, clip.video), taken.truth, clip)
    _write_video(directory / "archive" / clip.video, taken.frames, clip, rng)
    return Rendered(clip.video, taken.labels)


def write_labels(directory: Path, rendered: Iterable[Rendered]) -> None:
    """Writes `truth/labels.json`: for each video a list with true where a frame is blurred."""
    labels = {clip.video: clip.labels.tolist() for clip in rendered}
    (directory / "truth" / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")


def read_labels(directory: Path) -> dict[str, np.ndarray]:
    """The labels that `write_labels` wrote: bool [T] by video."""
    labels = json.loads((directory / "truth" / "labels.json").read_text())
    return {video: np.array(values, bool) for video, values in labels.items()}


def _view(wall: Wall, name: str, right: float, zoom: float) -> View:
    x, y = wall.centres[name]
    return View(x + right, y + 42.0, zoom)


def _write_truth(path: Path, frames: list[np.ndarray], clip: Clip) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=clip.rate, width=clip.size[0], height=clip.size[1], pix_fmt="bgr0")
        stream.codec_context.gop_size = 1
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = number, Fraction(1, clip.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_video(path: Path, frames: list[np.ndarray], clip: Clip, rng: np.random.Generator) -> None:
    """H.264 or HEVC in BT.709, closed GOPs of about a second, with sound from the first frame to the last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = f"restore-archive demo: {path.stem}"
        stream: Any = container.add_stream(clip.codec, rate=clip.rate)
        stream.width, stream.height, stream.pix_fmt = *clip.size, "yuv420p"
        context = stream.codec_context
        context.gop_size = clip.rate
        context.colorspace, context.color_range = _BT709, _LIMITED
        context.color_primaries, context.color_trc = _BT709, _BT709
        stream.options = {"preset": "veryfast", "crf": "18"}
        if clip.codec == "libx265":
            stream.options |= {"x265-params": "log-level=none:open-gop=0"}
        else:
            # The same bytes everywhere: whether a sharp frame looks sharp enough must not depend on who made it.
            stream.options |= {"threads": "1", **REPEATABLE}
        sound: Any = container.add_stream(clip.sound_codec, rate=SAMPLE_RATE, layout="stereo")
        like = _template(clip)
        for number, rgb in enumerate(frames):
            like.pts = number
            container.mux(stream.encode(from_rgb(rgb, like)))
        container.mux(stream.encode())
        _write_sound(container, sound, melody(clip.frames / clip.rate, rng))


def _template(clip: Clip) -> av.VideoFrame:
    """An empty frame of the clip's format, tags and time base."""
    like = av.VideoFrame(*clip.size, "yuv420p")
    like.time_base = Fraction(1, clip.rate)
    like.colorspace, like.color_range = _BT709, _LIMITED
    like.color_primaries, like.color_trc = _BT709, _BT709
    return like


def _write_sound(container: Any, stream: Any, samples: np.ndarray) -> None:
    """Encodes float32 [2, N] at `SAMPLE_RATE` into the stream."""
    context = stream.codec_context
    if not context.is_open:
        context.open()
    block = context.frame_size or 1024
    resampler = av.AudioResampler(context.format, "stereo", SAMPLE_RATE)
    for start in range(0, samples.shape[1], block):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + block]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        for converted in resampler.resample(frame):
            container.mux(stream.encode(converted))
    container.mux(stream.encode())
