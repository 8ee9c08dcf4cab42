"""H.264 and HEVC clips of every kind, and a run of them through the whole path with the untouched GOPs left as they
are."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from deblur_core.video.containers import muxer_for
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import choose_encoder, encode_segment
from deblur_core.video.independent_gops import gop_starts, to_encode
from deblur_core.video.index import VideoIndex, index_video, plan_segments
from deblur_core.video.probe import VideoInfo, probe
from deblur_core.video.rebuild import CarriedFrames, rebuild
from deblur_core.video.untouched_gops import beside, hindrance
from deblur_core.video.verify import verify_rebuilt
from tests.media import frame_hash, moving_texture


def x264_clip(
    path: Path,
    frames: int = 48,
    *,
    gop: int = 6,
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (96, 64),
    profile: str | None = None,
    preset: str = "veryfast",
    crf: int = 18,
    times: Iterable[int] | None = None,
    context: dict[str, Any] | None = None,
    container_options: dict[str, str] | None = None,
    fresh: Collection[int] = (),
    **params: Any,
) -> Path:
    """A clip of 24 frames a second, of x264's own `params` (underscores for hyphens). times: pts in 1/90000 s.

    fresh: frames that are IDR pictures whatever the encoder thinks.
    """
    ticks = list(times) if times is not None else [number * 3750 for number in range(frames)]
    options = {"preset": preset, "crf": str(crf), "threads": "1", "forced-idr": "1"} | (
        {"profile": profile} if profile else {}
    )
    given = {"scenecut": 0, "keyint": gop, "min-keyint": gop} | {
        name.replace("_", "-"): value for name, value in params.items()
    }
    options["x264-params"] = ":".join(f"{name}={value}" for name, value in given.items())
    with av.open(str(path), "w", options={"movie_timescale": "90000", **(container_options or {})}) as container:
        stream: Any = container.add_stream("libx264", rate=24, width=size[0], height=size[1], pix_fmt=pixel_format)
        stream.codec_context.time_base = Fraction(1, 90000)
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        stream.options = options
        for number, (picture, tick) in enumerate(zip(moving_texture(frames, size), ticks, strict=True)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = tick, Fraction(1, 90000)
            frame.pict_type = PictureType.I if number in fresh else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def x265_clip(
    path: Path,
    frames: int = 48,
    *,
    gop: int = 6,
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (96, 64),
    tag: str | None = None,
    times: Iterable[int] | None = None,
    **params: Any,
) -> Path:
    """As `x264_clip`, of x265's own `params`, closed GOPs unless they say otherwise. tag: hvc1 or hev1."""
    ticks = list(times) if times is not None else [number * 3750 for number in range(frames)]
    given = {"log-level": "none", "scenecut": 0, "keyint": gop, "min-keyint": gop, "open-gop": 0, "pools": "none"} | {
        name.replace("_", "-"): value for name, value in params.items()
    }
    options = {"movie_timescale": "90000"} if path.suffix != ".mkv" else {}
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream("libx265", rate=24, width=size[0], height=size[1], pix_fmt=pixel_format)
        stream.codec_context.time_base = Fraction(1, 90000)
        if tag is not None:
            stream.codec_context.codec_tag = tag
        text = ":".join(f"{name}={value}" for name, value in given.items())
        stream.options = {"preset": "ultrafast", "crf": "20", "x265-params": text}
        for picture, tick in zip(moving_texture(frames, size), ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = tick, Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Joined:
    """A result beside its source. stay: bool [N], frames whose packets were not encoded; parts: hold the others."""

    source: Path
    out: Path
    info: VideoInfo
    index: VideoIndex
    stay: np.ndarray
    parts: list[Path]


def why_not(clip: Path, name: str | None = None, **encoder: Any) -> str | None:
    """Why the GOPs of this clip could not stay."""
    info = probe(clip, clip.name)
    out = name or clip.name
    choice = replace(choose_encoder(info, Path(out).suffix), **encoder)
    return hindrance(info, index_video(clip, clip.name, info), choice, muxer_for(out))


def joined(clip: Path, restored: Iterable[int], segment_frames: int = 300, name: str | None = None) -> Joined:
    """The clip with each frame of `restored` turned negative, checked as it is before it is published."""
    info = probe(clip, clip.name)
    index = index_video(clip, clip.name, info)
    out = clip.parent / f"out-{name or clip.name}"
    choice = choose_encoder(info, out.suffix)
    assert hindrance(info, index, choice, muxer_for(out.name)) is None
    assert index.gop is not None
    assert index.is_cut is not None
    choice = replace(choice, beside=beside(info))
    marks = np.zeros(index.frame_count, bool)
    marks[list(restored)] = True
    stay, parts = np.ones(index.frame_count, bool), []
    for segment in plan_segments(index, segment_frames):
        own = slice(segment.first_frame, segment.stop_frame)
        encoded = to_encode(index.gop, index.is_cut, segment.first_frame, marks[own], index.refers_back)
        stay[own] = ~encoded
        if encoded.any():
            wanted = np.flatnonzero(encoded) + segment.first_frame
            starts = gop_starts(index.gop, wanted)
            frames = (
                _negative(frame) if marks[number] else frame
                for number, frame in decode_frames(clip, index, segment.first_frame, segment.stop_frame, clip.name)
                if number in wanted
            )
            parts.append(clip.parent / f"part{segment.number}.mkv")
            encode_segment(frames, marks[wanted], info, choice, parts[-1], starts)
    rebuild(clip, clip.name, info, index, parts, out, out.name, carried=CarriedFrames(stay, clip))
    verify_rebuilt(clip, out, info, index, out.name, stay)
    return Joined(clip, out, info, index, stay, parts)


def _negative(frame: av.VideoFrame) -> av.VideoFrame:
    top = (1 << frame.format.components[0].bits) - 1
    turned = av.VideoFrame.from_ndarray(top - frame.to_ndarray(), frame.format.name)
    turned.pts, turned.time_base = frame.pts, frame.time_base
    return turned


def packets(path: Path) -> list[tuple[int | None, int | None, bytes]]:
    """(pts, dts, bytes) of the video in decoding order."""
    with av.open(str(path)) as container:
        return [(each.pts, each.dts, bytes(each)) for each in container.demux(video=0) if each.size]


def decoder_messages(path: Path) -> list[str]:
    """What FFmpeg has to say while it decodes the video: warnings and errors."""
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as said, av.open(str(path)) as container:
            for _ in container.decode(video=0):
                pass
    finally:
        av.logging.set_level(None)
    return [text.strip() for _, _, text in said]


def sought_hashes(path: Path, pts: Iterable[int]) -> list[str]:
    """The frame that a player shows after it has sought to each time: the keyframe before, then decoding up to it."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for time in pts:
            container.seek(int(time), stream=stream)
            found.append(next(frame_hash(frame) for frame in container.decode(stream) if frame.pts == time))
    return found
