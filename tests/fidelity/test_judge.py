"""The judge of the matrix finds what is wrong: a judge that never does would prove nothing."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.fidelity.judge import judge
from tests.media import ColourTags, make_clip, odd_clips

SMALL: dict[str, Any] = {"frames": 12, "size": (96, 64), "gop": 6, "bframes": 0}


def later(number: int, packet: av.Packet) -> av.Packet:
    packet.pts = packet.dts = packet.pts + (1 if number == 5 else 0)
    return packet


def without_the_last(number: int, packet: av.Packet) -> av.Packet | None:
    return packet if number < 11 else None


@pytest.mark.parametrize(
    ("change", "fault"), [(later, "away from their times"), (without_the_last, "source has more frames than 11")]
)
def test_a_frame_elsewhere_or_nowhere_is_found(tmp_path: Path, change: Callable[..., Any], fault: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", **SMALL)
    other = odd_clips.rewritten(clip, tmp_path / "b.mp4", change)
    assert any(fault in found for found in judge(clip, other, ()).faults)


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ({"metadata": {"title": "Work"}}, "tag title was 'Holiday' and is 'Work'"),
        ({"colour": ColourTags(6, 1, 6, 6)}, "colorspace of frame 0 was 1 and is 6"),
        ({"audio": 2}, "streams was"),
        ({"start_seconds": Fraction(1, 2)}, "away from their times"),
        ({"rotation": 90}, "side data DISPLAYMATRIX of frame 0"),
        ({"sample_aspect_ratio": Fraction(16, 15)}, "pixel aspect was 1 and is 16/15"),
        ({"seed": 1}, "frame 0 was not restored, yet is"),
        ({"chapters": True}, "chapters was"),
    ],
)
def test_what_differs_is_found_and_named(tmp_path: Path, other: dict[str, Any], fault: str) -> None:
    plain = SMALL | {"metadata": {"title": "Holiday"}, "colour": ColourTags()}
    clips = [make_clip(tmp_path / f"{number}.mp4", **(plain | each)) for number, each in enumerate(({}, other))]
    assert any(fault in found for found in judge(*clips, ()).faults)


def test_captions_and_services_that_are_gone_are_found(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "a.mp4", **SMALL)
    captioned = odd_clips.rewritten(plain, tmp_path / "b.mp4", odd_clips.captioned)
    assert any("side data A53_CC" in fault for fault in judge(captioned, plain, ()).faults)
    services = [odd_clips.broadcast(tmp_path / f"{name}.ts", service_name=name) for name in ("one", "two")]
    assert any("programs was" in fault for fault in judge(*services, ()).faults)


def test_a_frame_that_was_restored_must_differ(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", **SMALL)
    assert not judge(clip, clip, ()).faults
    assert judge(clip, clip, (3,)).faults == ["frame 3 was restored, yet is as it was (inf dB)"]
