"""Every restorer side by side on clips that no training saw: the table of docs/models.md.

The clips are partly blurred with known labels, so that restorers alone are compared, not selectors: each restores the
blurred frames with the sharp ones around them in view. Without sharp neighbours is measured too: in a shot that
holds the run of blurred frames and nothing else.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from deblur_core.metrics import psnr, ssim
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.registry import RESTORERS, load_restorer
from deblur_core.models.restorer import window_in
from deblur_core.optical_flow import dense_flow
from deblur_core.synthesis.partly_blurred import PartlyBlurred, PartlyBlurredSettings, blur_clip
from deblur_core.training.clips import HELD_OUT, load_corpus

WORSE_DB = 0.1
STRENGTHS = ((0.0, 8.0), (8.0, float("inf")))
"""Extent of the blur, pixels: the columns of gain."""
_PARTLY = PartlyBlurredSettings(share_jpeg=0.0, crf=(18.0, 28.0))


@dataclass(frozen=True)
class RestorerResult:
    """PSNR in dB and SSIM, means over blurred frames; gains by strength; worse: share of frames that lost over 0.1 dB.

    alone_gain_db: gain where no sharp frame is in view; warping_error: of neighbouring restored frames, in grey levels
    (RMS after flow of the truth); seconds_720p: for one 720 × 1280 frame, on this machine.
    """

    name: str
    parameters: int
    gmac_256: float
    frames: int
    before_db: float
    after_db: float
    before_ssim: float
    after_ssim: float
    gains_db: tuple[float, ...]
    worse: float
    alone_gain_db: float
    warping_error: float
    seconds_720p: float


def measure_models(data: Path, work: Path, frames: int, shorter_side: int, seed: int, names: list[str]) -> int:
    """Prints the table and writes `models.json` and a picture a clip into `work`. Returns 0."""
    work.mkdir(parents=True, exist_ok=True)
    clips = {
        clip.name: blur_clip(clip.frames, np.random.default_rng([seed, number]), _PARTLY)
        for number, clip in enumerate(load_corpus(data, frames, shorter_side, only=HELD_OUT))
    }
    results, pictures = [], {name: _strip(clip) for name, clip in clips.items()}
    for name in names or list(RESTORERS):
        restorer = load_restorer(name)
        results.append(_measure(restorer, clips, lambda clip, frame: pictures[clip].append(frame)))
        (work / "models.json").write_text(json.dumps([asdict(result) for result in results], indent=1))
    for name, strip in pictures.items():
        cv2.imwrite(str(work / f"{name}.png"), np.concatenate(strip, axis=1)[..., ::-1])
    _print(results)
    return 0


def _strip(clip: PartlyBlurred) -> list[np.ndarray]:
    """What a picture begins with: the truth and the blurred frame that is restored for it."""
    shown = _shown(clip)
    return [clip.truth[shown], clip.frames[shown]]


def _shown(clip: PartlyBlurred) -> int:
    """The most blurred frame."""
    return int(np.argmax(clip.strength_pixels))


def _measure(
    restorer: NetworkRestorer, clips: dict[str, PartlyBlurred], show: Callable[[str, np.ndarray], None]
) -> RestorerResult:
    rows: list[tuple[float, float, float, float, float, float]] = []
    warping: list[float] = []
    for name, clip in clips.items():
        restored: dict[int, np.ndarray] = {}
        for number in np.flatnonzero(clip.labels):
            target = int(number)
            frame = restore_blurred(restorer, clip, target, clip.labels)
            sees_sharp = restorer.needs.sharp_references > 0
            alone = _restore_without_sharp(restorer, clip, target) if sees_sharp else frame
            truth, blurred = clip.truth[target], clip.frames[target]
            rows.append(
                (
                    psnr(blurred, truth), psnr(frame, truth), psnr(alone, truth),
                    ssim(blurred, truth), ssim(frame, truth), float(clip.strength_pixels[target]),
                )
            )  # fmt: skip
            restored[target] = frame
            if target == _shown(clip):
                show(name, frame)
        warping += list(_warping_errors(clip, restored))
    values = np.array(rows)
    gain, strength = values[:, 1] - values[:, 0], values[:, 5]
    entry = RESTORERS[restorer.name]
    return RestorerResult(
        restorer.name, entry.parameters, entry.gmac_256, len(rows),
        float(values[:, 0].mean()), float(values[:, 1].mean()), float(values[:, 3].mean()), float(values[:, 4].mean()),
        tuple(_mean(gain[(strength > low) & (strength <= high)]) for low, high in STRENGTHS),
        float((gain < -WORSE_DB).mean()), float((values[:, 2] - values[:, 0]).mean()),
        float(np.mean(warping)) if warping else float("nan"), _seconds_720p(restorer),
    )  # fmt: skip


def restore_blurred(restorer: NetworkRestorer, clip: PartlyBlurred, target: int, labels: np.ndarray) -> np.ndarray:
    return restorer.restore_frame(window_in(clip.frames, target, labels, restorer.needs))


def _restore_without_sharp(restorer: NetworkRestorer, clip: PartlyBlurred, target: int) -> np.ndarray:
    """As in a shot that begins and ends with the run of blurred frames around the target."""
    sharp = np.flatnonzero(~clip.labels)
    start = max((int(number) + 1 for number in sharp if number < target), default=0)
    stop = min((int(number) for number in sharp if number > target), default=len(clip.labels))
    run = clip.frames[start:stop]
    return restorer.restore_frame(window_in(run, target - start, np.ones(len(run), bool), restorer.needs))


def _warping_errors(clip: PartlyBlurred, restored: dict[int, np.ndarray]) -> Iterator[float]:
    """RMS difference of neighbouring restored frames after the motion between their truths, grey levels."""
    for number in sorted(restored):
        if number + 1 not in restored:
            continue
        grays = [cv2.cvtColor(clip.truth[n], cv2.COLOR_RGB2GRAY) for n in (number, number + 1)]
        flow = dense_flow(grays[0], grays[1])
        rows, columns = np.mgrid[0 : flow.shape[0], 0 : flow.shape[1]].astype(np.float32)
        place = (columns + flow[..., 0], rows + flow[..., 1])

        def back(frame: np.ndarray, place: tuple[np.ndarray, np.ndarray] = place) -> np.ndarray:
            return cv2.remap(frame, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101).astype(np.float64)

        # What the truth itself changes (light, what was covered) is not the restorer's.
        still = np.abs(back(clip.truth[number + 1]) - clip.truth[number]).max(axis=2) < 12.0
        difference = back(restored[number + 1]) - restored[number].astype(np.float64)
        if still.any():
            yield float(np.sqrt(np.square(difference[still]).mean()))


def _mean(values: np.ndarray) -> float:
    """NaN where there is nothing."""
    return float(values.mean()) if len(values) else float("nan")


def _seconds_720p(restorer: NetworkRestorer) -> float:
    frames = np.random.default_rng(1).integers(0, 255, (5, 720, 1280, 3), dtype=np.uint8)
    labels = np.arange(5) == 2
    restorer.restore(frames, labels)
    began = time.perf_counter()
    restorer.restore(frames, labels)
    return time.perf_counter() - began


def _print(results: list[RestorerResult]) -> None:
    table = Table(
        "restorer", "M", "GMAC", "before", "after", "gain", *[f"≤{high:.0f} px" for _, high in STRENGTHS],
        "SSIM", "worse", "alone", "warp", "s/720p",
    )  # fmt: skip
    for result in results:
        table.add_row(
            result.name, f"{result.parameters / 1e6:.1f}", f"{result.gmac_256:.1f}",
            f"{result.before_db:.2f}", f"{result.after_db:.2f}", f"{result.after_db - result.before_db:+.2f}",
            *[f"{gain:+.2f}" for gain in result.gains_db],
            f"{result.before_ssim:.3f} → {result.after_ssim:.3f}", f"{result.worse:.1%}",
            f"{result.alone_gain_db:+.2f}", f"{result.warping_error:.2f}", f"{result.seconds_720p:.2f}",
        )  # fmt: skip
    Console(width=150).print(table)
