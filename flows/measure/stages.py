"""Speed where it counts: each stage alone, then the whole run over the same 720p clip, side by side.

Only ratios of one invocation mean anything: machines are shared and noisy.
"""

import shutil
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from deblur_core.models.registry import load_restorer, load_selector
from deblur_core.restoration import full_scale_luma, reach_for, restore_stream
from deblur_core.synthesis.partly_blurred import PartlyBlurredSettings, blur_clip
from deblur_core.verdict import VerdictLimits
from deblur_core.video.decode import decode_frames
from deblur_core.video.encode import choose_encoder, encode_segment
from deblur_core.video.index import index_video
from deblur_core.video.probe import probe
from flows.measure.command import restore

_STAGES = ("plan", "classify", "deblur", "assemble", "publish")


def measure_stages(video: Path | None, work: Path) -> int:
    """Prints frames a second of every stage on one thread, then of the whole run. Returns 0."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "archive").mkdir(parents=True)
    clip = work / "archive" / "clip.mp4"
    if video is None:
        render(clip)
    else:
        clip = clip.with_name(video.name)
        shutil.copyfile(video, clip)
    console = Console()
    alone = Table("stage alone, one thread", "frames", "frames/s")
    for name, (frames, seconds) in _alone(clip, work).items():
        alone.add_row(name, str(frames), f"{frames / seconds:.2f}")
    console.print(alone)
    report = restore(work / "archive", work / "restored")
    _print_run(console, report)
    return 0


def render(path: Path, frames: int = 240) -> None:
    """A 720p clip of drifting texture, partly shaken: enough to time stages, not to judge quality."""
    rng = np.random.default_rng(7)
    wall = cv2.resize(rng.integers(0, 255, (300, 500, 3), np.uint8), (2400, 1400), interpolation=cv2.INTER_CUBIC)
    views = [np.ascontiguousarray(wall[200 : 200 + 720, 3 * n : 3 * n + 1280]) for n in range(frames)]
    settings = PartlyBlurredSettings(blurred_share=(0.3, 0.3), share_jpeg=0.0, crf=(10.0, 10.0))
    made = blur_clip(views, rng, settings)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "g": "48"}
        for frame in made.frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


def _alone(clip: Path, work: Path) -> dict[str, tuple[int, float]]:
    """Frames and seconds of each stage, one after another in this process."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    info = probe(clip, clip.name)
    index = index_video(clip, clip.name, info)
    count = index.frame_count
    selector, restorer = load_selector(), load_restorer()
    features: list[np.ndarray] = []

    def decode() -> int:
        return sum(1 for _ in decode_frames(clip, index, 0, count, clip.name))

    def classify() -> int:
        for _, frame in decode_frames(clip, index, 0, count, clip.name):
            features.append(selector.frame_features(full_scale_luma(frame)))
        selector.probabilities(features)
        return count

    def deblur() -> int:
        blurred = selector.probabilities(features) >= 0.5
        targets = [int(number) for number in np.flatnonzero(blurred)[:24]]
        if not targets:
            raise ValueError(f"{clip.name}: no frame is blurred, so deblurring cannot be timed; take another clip")
        needs = reach_for(restorer.needs, info.width, info.height, info.bit_depth)
        frames = decode_frames(clip, index, 0, min(targets[-1] + needs.margin_frames + 1, count), clip.name)
        return sum(1 for _ in restore_stream(frames, blurred, 0, targets, restorer, needs, VerdictLimits()))

    def encode() -> int:
        frames = (frame for _, frame in decode_frames(clip, index, 0, count, clip.name))
        choice = choose_encoder(info, clip.suffix)
        encode_segment(frames, np.zeros(count, bool), info, choice, work / "part.mkv")
        return count

    stages = {"decode": decode, "decode + classify": classify, "deblur": deblur, "decode + encode": encode}
    return {name: _timed(stage) for name, stage in stages.items()}


def _timed(stage: Callable[[], int]) -> tuple[int, float]:
    started = time.perf_counter()
    frames = stage()
    return frames, time.perf_counter() - started


def _print_run(console: Console, report: dict[str, object]) -> None:
    stages = report["stages"]
    assert isinstance(stages, dict)
    table = Table("stage in the run", "busy s", "actors", "busy s / actors")
    total = 0.0
    for name in _STAGES:
        stage = stages[name]
        share = stage["busy_seconds"] / max(stage["actors"], 1)
        total += share
        table.add_row(name, f"{stage['busy_seconds']:.2f}", str(stage["actors"]), f"{share:.2f}")
    console.print(table)
    seconds, start_up = float(str(report["seconds"])), float(str(report["start_up_seconds"]))
    frames = report["frames"]
    assert isinstance(frames, dict)
    working = seconds - start_up
    console.print(
        f"whole run {seconds:.1f} s, of which start-up {start_up:.1f} s; then {frames['total'] / working:.2f} frames/s "
        f"({frames['blurred']} of {frames['total']} blurred)"
    )
    console.print(f"run after start-up / sum of the stages' times over their workers: {working / total:.2f}")
