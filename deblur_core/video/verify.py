"""Checks a rebuilt video against its source before anybody sees it, and again whenever that is asked: every frame's
time, every picture that was not restored, every packet of all else, every tag, and that it decodes to its end.

It reads and decodes both files; it knows nothing of how the result was made, and does not judge the pictures that were
restored.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from deblur_core.errors import VerificationError, VideoError
from deblur_core.video.carried_check import compare_carried
from deblur_core.video.containers import is_mp4_family, keeps_decoding_times, muxer_for
from deblur_core.video.frame_times import FrameTimes
from deblur_core.video.picture_check import PictureCheck, PictureFindings
from deblur_core.video.pixel_format import plain_name
from deblur_core.video.probe import VideoInfo, probe
from deblur_core.video.source import Source, each_frame, main_video_stream, open_input
from deblur_core.video.stream_check import OtherStreams, compare_other_streams
from deblur_core.video.tag_check import Lost, compare_tags

_EXACT_MUXERS = {"mpegts"}
_MATROSKA_TICK = Fraction(1, 1000)
_LOSSLESS = {"ffv1"}
_IDENTITY = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_UNSPECIFIED = {0, 2}  # no tag at all, or the tag that says so


@dataclass(frozen=True)
class Findings:
    """What a check found in order. frames: decoded, each at its time; largest_time_error_seconds: of all of them;
    carried: packets of the video that are the source's; pictures: None where nobody asked."""

    frames: int
    largest_time_error_seconds: float
    carried: int
    pictures: PictureFindings | None
    others: OtherStreams
    lost: tuple[Lost, ...]


def verify_rebuilt(
    source: Source,
    result: Source,
    info: VideoInfo,
    times: FrameTimes,
    name: str,
    stay: np.ndarray | None = None,
    pictures: PictureCheck | None = None,
    added_tags: tuple[str, ...] = (),
) -> Findings:
    """Compares the file `result`, published as `name`, with its source, which `info` describes, and with the frames
    that it must have: those of its source, or for slow motion those of `slowed`.

    stay: bool [N], the frames whose packets must be those of the source, byte for byte. pictures: compares what is to
    be seen. added_tags: keys of tags that the result has and its source has not.
    Times must be equal exactly in MP4, MOV and transport streams, within one tick in Matroska. Raises VerificationError
    naming the first difference.
    """
    muxer = muxer_for(name)
    try:
        described = probe(result, name)
    except VideoError as error:
        raise VerificationError(f"{name}: the rebuilt file is not readable: {error}") from error
    _compare_description(info, described, name)
    if pictures is not None:
        pictures.is_lossless = described.codec in _LOSSLESS
    first_shown, time_error = _compare_frames(result, info, times, muxer, name, pictures)
    if stay is not None:
        compare_carried(source, result, times, stay, keeps_decoding_times(muxer), name)
    others = compare_other_streams(source, result, times, first_shown, muxer, name)
    lost = compare_tags(source, result, others.pairs, muxer, name, added_tags)
    return Findings(
        frames=times.frame_count,
        largest_time_error_seconds=float(time_error),
        carried=int(stay.sum()) if stay is not None else 0,
        pictures=pictures.findings if pictures is not None else None,
        others=others,
        lost=tuple(lost),
    )


def _compare_description(info: VideoInfo, result: VideoInfo, name: str) -> None:
    pairs = {
        "size": ((info.width, info.height), (result.width, result.height)),
        "pixel format": (plain_name(info.pixel_format), plain_name(result.pixel_format)),
        "pixel aspect ratio": (info.sample_aspect_ratio or 1, result.sample_aspect_ratio or 1),
        "rotation": (info.rotation_degrees, result.rotation_degrees),
        "display matrix": (info.display_matrix or _IDENTITY, result.display_matrix or _IDENTITY),
        "interlacing": (info.interlaced, result.interlaced),
        "colour range": (_range(info), _range(result)),
        "colour matrix": (_tag(info.colorspace), _tag(result.colorspace)),
        "colour primaries": (_tag(info.color_primaries), _tag(result.color_primaries)),
        "transfer curve": (_tag(info.color_trc), _tag(result.color_trc)),
        "mastering display": (info.mastering_display, result.mastering_display),
        "dynamic metadata": (info.dynamic_metadata, result.dynamic_metadata),
        "content light level": (info.content_light, result.content_light),
    }
    for what, (before, after) in pairs.items():
        if before != after:
            raise VerificationError(f"{name}: {what} was {before} and would become {after}")


def _tag(value: int) -> int:
    """FFmpeg says "unspecified" in two ways, and containers turn one into the other. BT.470 BG and SMPTE 170M are one
    matrix under two numbers, of which JPEG has but the first."""
    if value in _UNSPECIFIED:
        return 2
    return value


def _range(info: VideoInfo) -> str:
    """Limited is what no tag means."""
    return "full" if info.color_range == 2 or info.pixel_format.startswith("yuvj") else "limited"


def _compare_frames(
    result: Source, info: VideoInfo, times: FrameTimes, muxer: str, name: str, pictures: PictureCheck | None
) -> tuple[Fraction, Fraction]:
    """Decodes the result to its end; returns when its first frame is shown and the largest error of a frame's time, in
    seconds."""
    tolerance = Fraction(0) if is_mp4_family(muxer) or muxer in _EXACT_MUXERS else _MATROSKA_TICK
    count, first, largest = 0, Fraction(0), Fraction(0)
    with open_input(result, name) as container:
        stream = main_video_stream(container, name)
        try:
            for frame in each_frame(container, stream):
                if count == times.frame_count:
                    raise VerificationError(f"{name}: has more than the {count} frames that it must have")
                shown = _compare_frame(frame, count, info, times, tolerance, name)
                first = shown if not count else first
                largest = max(largest, abs(shown - int(times.pts[count]) * times.time_base))
                if pictures is not None:
                    pictures.see(count, frame)
                count += 1
        except av.FFmpegError as error:
            raise VerificationError(
                f"{name}: frame {count} of the result does not decode ({error.strerror})"
            ) from error
    if count != times.frame_count:
        raise VerificationError(f"{name}: has {count} frames and must have {times.frame_count}")
    return first, largest


def _compare_frame(
    frame: av.VideoFrame, number: int, info: VideoInfo, times: FrameTimes, tolerance: Fraction, name: str
) -> Fraction:
    """Returns when it is shown, in seconds."""
    if frame.pts is None or frame.time_base is None:
        raise VerificationError(f"{name}: frame {number} of the result has no time")
    before, after = int(times.pts[number]) * times.time_base, frame.pts * frame.time_base
    if abs(after - before) > tolerance:
        raise VerificationError(
            f"{name}: frame {number} was shown at {float(before):.6f} s and would be at {float(after):.6f} s"
        )
    if frame.is_corrupt:
        raise VerificationError(f"{name}: frame {number} of the result is damaged")
    if (frame.width, frame.height) != (info.width, info.height):
        raise VerificationError(f"{name}: frame {number} of the result is {frame.width}x{frame.height}")
    before_tags, after_tags = (
        [_tag(int(each)) for each in (by.colorspace, by.color_primaries, by.color_trc)] for by in (info, frame)
    )
    if before_tags != after_tags:
        raise VerificationError(f"{name}: frame {number} of the result has colour tags {after_tags}, not {before_tags}")
    return after
