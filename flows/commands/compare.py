"""`restore-archive compare`: two videos of the same frames, PSNR and SSIM a frame, and a picture of both."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from deblur_core.errors import UsageError
from deblur_core.metrics import psnr, ssim
from deblur_core.output_place import check_file_place, writing_explained


def compare(before: Path, after: Path, out: Path | None) -> int:
    """Prints the frames that differ and writes `before | after` of the one that differs most. Returns the exit code."""
    for video in (before, after):
        if not video.is_file():
            raise UsageError(f"{video} is no file: name two videos")
    path = out or Path(f"{after.stem}.comparison.png")
    check_file_place(path)
    if path.exists() and (path.samefile(before) or path.samefile(after)):
        raise UsageError(f"the picture {path} would overwrite a video: choose another --out")
    rows: list[tuple[int, float, float]] = []
    most: tuple[float, int, np.ndarray] | None = None
    for number, (first, second) in enumerate(_pairs(before, after)):
        quality = psnr(second, first)
        rows.append((number, quality, ssim(second, first)))
        if most is None or quality < most[0]:
            most = (quality, number, np.concatenate([first, second], axis=1))
    assert most is not None
    with writing_explained(path):
        path.write_bytes(cv2.imencode(".png", most[2][..., ::-1])[1].tobytes())
    console = Console()
    table = Table("frame", "PSNR dB", "SSIM", title=f"{before.name} | {after.name}")
    for number, quality, similarity in rows:
        table.add_row(str(number), "same" if np.isinf(quality) else f"{quality:.2f}", f"{similarity:.4f}")
    console.print(table)
    finite = [quality for _, quality, _ in rows if np.isfinite(quality)]
    mean = f"{np.mean(finite):.2f} dB" if finite else "identical"
    same = len(rows) - len(finite)
    console.print(f"{len(rows)} frames, {same} identical, mean PSNR of the others {mean}")
    console.print(f"frame {most[1]}, the most different one, before | after: {path}", markup=False)
    return 0


def _pairs(before: Path, after: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """8-bit RGB of both, frame by frame. Raises UsageError when they do not have the same frames."""
    first, second = _frames(before), _frames(after)
    number = 0
    while True:
        pair = next(first, None), next(second, None)
        if pair[0] is None and pair[1] is None:
            if number == 0:
                raise UsageError(f"{before} holds no frame")
            return
        if pair[0] is None or pair[1] is None:
            longer, shorter = (after, before) if pair[0] is None else (before, after)
            raise UsageError(f"{shorter} ends after {number} frames, {longer} goes on: they are not the same video")
        if pair[0].shape != pair[1].shape:
            raise UsageError(f"frame {number} is {pair[0].shape[:2]} in {before} and {pair[1].shape[:2]} in {after}")
        yield pair[0], pair[1]
        number += 1


def _frames(video: Path) -> Iterator[np.ndarray]:
    from deblur_core.video.colour import to_rgb
    from deblur_core.video.decode import decode_frames
    from deblur_core.video.index import index_video

    index = index_video(video, video.name)
    for _, frame in decode_frames(video, index, 0, index.frame_count, video.name, threads=2):
        rgb = to_rgb(frame)
        yield rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)
