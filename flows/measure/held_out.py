"""Quality where it counts: partly blurred clips made from videos that training never saw, through the whole program.

The clips are blurred and recorded as in training (deblur_core/synthesis), written as H.264 files, restored by the real
command line, and every published frame is compared with its source and with the truth.
"""

import json
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from deblur_core.metrics import psnr, ssim
from deblur_core.synthesis.partly_blurred import PartlyBlurred, PartlyBlurredSettings, blur_clip
from deblur_core.training.clips import HELD_OUT, load_corpus
from deblur_core.video.source import open_input
from flows.measure.command import restore

WORSE_DB = 0.1
_CRFS = (18, 23, 28)
_RECORDING = PartlyBlurredSettings(share_jpeg=0.0, crf=(6.0, 6.0))


@dataclass(frozen=True)
class ClipResult:
    """Arrays of one entry a frame; PSNR in dB against the truth, before: of the source, after: of the published."""

    name: str
    labels: np.ndarray
    probability: np.ndarray
    flagged: np.ndarray
    action: np.ndarray
    before: np.ndarray
    after: np.ndarray
    ssim_before: np.ndarray
    ssim_after: np.ndarray
    strength: np.ndarray


def measure_held_out(data: Path, work: Path, seeds: list[int], frames: int, shorter_side: int) -> int:
    """Prints a table and writes `result.json` into `work`. Returns 0."""
    shutil.rmtree(work, ignore_errors=True)
    archive, restored = work / "archive", work / "restored"
    archive.mkdir(parents=True)
    clips: dict[str, PartlyBlurred] = {}
    for clip in load_corpus(data, frames, shorter_side, only=HELD_OUT):
        for seed in seeds:
            made = blur_clip(clip.frames, np.random.default_rng([seed, len(clips)]), _RECORDING)
            name = f"{clip.name}-{seed}.mp4"
            _write(archive / name, made.frames, _CRFS[len(clips) % len(_CRFS)])
            clips[name] = made
    report = restore(archive, restored)
    results = [_judge(name, made, archive, restored) for name, made in clips.items()]
    figures = _figures(results)
    (work / "result.json").write_text(json.dumps({"figures": figures, "run": report}, indent=1))
    _print(results, figures)
    return 0


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve (ties count half); NaN when only one class is there."""
    if positive.all() or not positive.any():
        return float("nan")
    higher = score[positive][:, None] > score[~positive][None, :]
    same = score[positive][:, None] == score[~positive][None, :]
    return float(higher.mean() + 0.5 * same.mean())


def _write(path: Path, frames: list[np.ndarray], crf: int) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25))
        height, width = frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "medium", "g": "48"}
        for number, frame in enumerate(frames):
            cut = np.ascontiguousarray(frame[: height // 2 * 2, : width // 2 * 2])
            picture = av.VideoFrame.from_ndarray(cut, format="rgb24")
            picture.pts = number
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def _read(path: Path) -> list[np.ndarray]:
    with open_input(path, path.name) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _judge(name: str, made: PartlyBlurred, archive: Path, restored: Path) -> ClipResult:
    manifest = pq.read_table(restored / "_restore" / "manifests" / name / "frames.parquet")
    source, published = _read(archive / name), _read(restored / name)
    if not len(source) == len(published) == len(made.truth) == manifest.num_rows:
        raise ValueError(f"{name}: {len(made.truth)} frames went in, {len(published)} came out")
    height, width = source[0].shape[:2]
    truth = [np.ascontiguousarray(frame[:height, :width]) for frame in made.truth]
    return ClipResult(
        name,
        made.labels,
        manifest["blur_probability"].to_numpy(),
        manifest["is_blurred"].to_numpy(zero_copy_only=False).astype(bool),
        np.array(manifest["action"].to_pylist()),
        np.array([psnr(frame, sharp) for frame, sharp in zip(source, truth, strict=True)]),
        np.array([psnr(frame, sharp) for frame, sharp in zip(published, truth, strict=True)]),
        np.array([ssim(frame, sharp) for frame, sharp in zip(source, truth, strict=True)]),
        np.array([ssim(frame, sharp) for frame, sharp in zip(published, truth, strict=True)]),
        made.strength_pixels,
    )


def _figures(results: list[ClipResult]) -> dict[str, float]:
    def pooled(field: str) -> np.ndarray:
        return np.concatenate([getattr(result, field) for result in results])

    labels, gain = pooled("labels"), pooled("after") - pooled("before")
    blurred = gain[labels]
    return {
        "frames": len(labels),
        "blurred_frames": int(labels.sum()),
        "labels_right": float((pooled("flagged") == labels).mean()),
        "false_alarms": float(pooled("flagged")[~labels].mean()),
        "missed": float((~pooled("flagged"))[labels].mean()),
        "auc": area_under_curve(pooled("probability"), labels),
        "psnr_before_blurred_db": float(pooled("before")[labels].mean()),
        "psnr_after_blurred_db": float(pooled("after")[labels].mean()),
        "gain_blurred_db": float(blurred.mean()),
        "gain_restored_db": float(gain[pooled("action") == "restored"].mean()),
        "ssim_before_blurred": float(pooled("ssim_before")[labels].mean()),
        "ssim_after_blurred": float(pooled("ssim_after")[labels].mean()),
        "rejected": float((pooled("action") == "rejected").mean()),
        "worse_than_source": float((gain < -WORSE_DB).mean()),
        "worst_db": float(gain.min()),
        "worst_sharp_db": float(gain[~labels].min()),
    }


def _print(results: list[ClipResult], figures: dict[str, float]) -> None:
    console = Console()
    table = Table("clip", "frames", "blurred", "labels right", "AUC", "before dB", "after dB", "gain dB", "worse")
    for result in results:
        gain = result.after - result.before
        table.add_row(
            result.name,
            str(len(result.labels)),
            str(int(result.labels.sum())),
            f"{(result.flagged == result.labels).mean():.1%}",
            f"{area_under_curve(result.probability, result.labels):.4f}",
            f"{result.before[result.labels].mean():.2f}",
            f"{result.after[result.labels].mean():.2f}",
            f"{gain[result.labels].mean():+.2f}",
            f"{(gain < -WORSE_DB).mean():.1%}",
        )
    console.print(table)
    for name, value in figures.items():
        console.print(f"{name:24} {value:.4f}")
