"""What selectors learn from: recorded stretches of luma with the label of every frame. Knows no selector.

Clips are blurred in part, put out of focus in part, given noise and compressed; photographs are panned over.
"""

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from deblur_core.errors import UsageError
from deblur_core.synthesis.defocus import DEFOCUS
from deblur_core.synthesis.focus import focal_field, focus_pull, out_of_focus
from deblur_core.synthesis.partly_blurred import PartlyBlurred, PartlyBlurredSettings, blur_clip
from deblur_core.training.clips import HELD_OUT, PHOTO_SUFFIXES, TOO_SOFT, VIDEO_SUFFIXES, load_video, shrink

UNCERTAIN = ("shake.mjpeg", "dashcam02", "bee.mp4")
"""Clips with blur of their own in some frames: their labels would be wrong."""

SOFT_CHECKS = ("solidWhiteRight", "flower.mp4", "test_stereo")
"""Soft clips without motion blur that stay unseen, to count false alarms on."""

_SIDES = (240, 320, 400, 480, 560, 720)
_SHARE_SOFTENED, _SHARE_SHALLOW, _SHARE_PULLED = 0.3, 0.15, 0.6
_MOST_FOCUS_SIDE, _MOST_FOCUS_FRAMES, _SEEN_RADIUS = 480, 36, 1.0


@dataclass(frozen=True)
class RecordedStretch:
    """lumas: uint8 [T, H, W] as a decoder gives them; labels: bool [T], motion blur only; kinds: as `PartlyBlurred`."""

    name: str
    lumas: np.ndarray
    labels: np.ndarray
    kinds: tuple[str, ...]


_Make = Callable[[str, list[np.ndarray], np.random.Generator, bool], RecordedStretch]


def motion_stretches(data: Path, number: int, seed: int) -> Iterator[RecordedStretch]:
    """A round: every training clip and every fourth photograph, at a size of its own, blurred by motion in part.

    Soft clips come in even rounds only. Each stretch depends on the seed, the round and the file alone. Raises
    UsageError when there is no clip.
    """
    yield from _round(data, number, seed, functools.partial(_stretch, defocus=False))


def mixed_stretches(data: Path, number: int, seed: int) -> Iterator[RecordedStretch]:
    """As `motion_stretches`; every second has runs out of focus too, some are shallow or have their focus pulled."""
    yield from _round(data, number, seed, functools.partial(_stretch, defocus=True))


def focus_stretches(data: Path, number: int, seed: int) -> Iterator[RecordedStretch]:
    """As `motion_stretches`, but as much is out of focus as is blurred by motion: what tells the two apart."""
    yield from _round(data, number, seed, lambda name, frames, rng, blur: _focus_stretch(name, frames, rng))


def _round(data: Path, number: int, seed: int, make: _Make) -> Iterator[RecordedStretch]:
    videos = [path for path in sorted(data.glob("video/*/*")) if path.suffix in VIDEO_SUFFIXES]
    videos = [path for path in videos if not any(name in path.name for name in (*HELD_OUT, *UNCERTAIN, *SOFT_CHECKS))]
    photos = [path for path in sorted(data.glob("images/*/*")) if path.suffix.lower() in PHOTO_SUFFIXES]
    if not videos:
        raise UsageError(f"no clip to train with under {data}: expected video/*/* there")
    for place, path in enumerate(videos):
        rng = np.random.default_rng([seed, number, place])
        soft = any(name in path.name for name in TOO_SOFT)
        if soft and number % 2:
            continue
        yield make(path.stem, _cut_video(path, rng), rng, not soft and rng.random() > 0.15)
    for place, path in enumerate(photos[number % 4 :: 4]):
        rng = np.random.default_rng([seed, number, len(videos) + place])
        yield make(path.stem, _pan(path, rng), rng, True)


def training_options(description: str | None) -> argparse.ArgumentParser:
    """What every training of a selector asks for; each adds its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recorded", type=Path, help="folder that keeps the stretches for another training")
    return parser


def kept(
    make: Callable[[Path, int, int], Iterator[RecordedStretch]],
    data: Path, rounds: Sequence[int], seed: int, folder: Path | None,
) -> Iterator[RecordedStretch]:  # fmt: skip
    """Rounds of one of the above; one that was written to `folder` before is read from there, others are written.

    With a folder, a second training over the same data does not blur and compress again.
    """
    for number in rounds:
        if folder is None:
            yield from make(data, number, seed)
            continue
        done = folder / f"{make.__name__}-seed{seed}-round{number}"
        if not done.is_dir():
            draft = done.with_suffix(".part")
            draft.mkdir(parents=True, exist_ok=True)
            for place, made in enumerate(make(data, number, seed)):
                np.savez(
                    draft / f"{place:03d}.npz", name=made.name, lumas=made.lumas, labels=made.labels, kinds=made.kinds
                )
            draft.rename(done)
        for path in sorted(done.glob("*.npz")):
            with np.load(path) as stored:
                kinds = tuple(str(kind) for kind in stored["kinds"])
                yield RecordedStretch(str(stored["name"]), stored["lumas"], stored["labels"], kinds)


def _cut_video(path: Path, rng: np.random.Generator) -> list[np.ndarray]:
    side, count = int(rng.choice(_SIDES)), int(rng.integers(16, 56))
    clip = load_video(path, count, side, start=int(rng.integers(0, 160)))
    if len(clip.frames) < 12:
        clip = load_video(path, count, side)
    return clip.frames


def _pan(path: Path, rng: np.random.Generator) -> list[np.ndarray]:
    """A camera that drifts over a photograph in whole pixels: as sharp in every frame as the photograph."""
    whole = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if whole is None:
        raise UsageError(f"photograph {path} cannot be read: repair or remove it")
    photo = shrink(np.ascontiguousarray(whole[..., ::-1]), int(rng.integers(420, 800)))
    height, width = (int(side * 0.7) // 2 * 2 for side in photo.shape[:2])
    room = np.array([photo.shape[0] - height, photo.shape[1] - width])
    place, speed, out = rng.uniform(0.0, 1.0, 2) * room, rng.normal(0.0, 3.0, 2), []
    for _ in range(int(rng.integers(12, 32))):
        speed = np.where((place + speed < 0) | (place + speed > room), -speed, speed)
        place = np.clip(place + speed, 0, room)
        y, x = place.astype(int)
        out.append(np.ascontiguousarray(photo[y : y + height, x : x + width]))
    return out


def _stretch(
    name: str, frames: list[np.ndarray], rng: np.random.Generator, blur: bool, defocus: bool
) -> RecordedStretch:
    settings = PartlyBlurredSettings(run_frames=(2, 12), kind_weights=(0.4, 0.2, 0.2, 0.8), share_with_object=0.6)
    if defocus and rng.random() < 0.5:
        settings = replace(settings, share_defocused=0.4)
    if not blur:
        settings = PartlyBlurredSettings(blurred_share=(0.0, 0.0))
    optics = rng.random()
    if optics < _SHARE_SOFTENED:
        sigma = float(rng.uniform(0.6, 1.6))
        frames = _soften(frames, sigma, rng)
        settings = replace(settings, blur_pixels=(max(2.5, 3.5 * sigma), 18.0))
    elif defocus and optics < _SHARE_SOFTENED + _SHARE_SHALLOW:
        frames = _shallow(frames, rng)
    elif defocus and not blur and rng.random() < _SHARE_PULLED:
        frames = out_of_focus(frames, focus_pull(len(frames), _radius_pixels(frames[0], rng), rng))
    return _recorded(name, blur_clip(frames, rng, settings), rng)


def _focus_stretch(name: str, frames: list[np.ndarray], rng: np.random.Generator) -> RecordedStretch:
    frames = [shrink(frame, _MOST_FOCUS_SIDE) for frame in frames[:_MOST_FOCUS_FRAMES]]
    settings = PartlyBlurredSettings(
        run_frames=(2, 14), blurred_share=(0.4, 0.7), kind_weights=(0.4, 0.2, 0.2, 0.6), share_with_object=0.6
    )
    optics = rng.random()
    if optics < 0.2:
        frames = _shallow(frames, rng)
    elif optics < 0.35:
        frames = _soften(frames, float(rng.uniform(0.6, 1.2)), rng)
    if rng.random() < 0.65:
        return _recorded(name, blur_clip(frames, rng, replace(settings, share_defocused=0.6)), rng)
    radii = focus_pull(len(frames), _radius_pixels(frames[0], rng), rng)
    field = focal_field(frames[0].shape, float(rng.uniform(0.05, 0.4)), rng) if rng.random() < 0.3 else None
    made = blur_clip(out_of_focus(frames, radii, field), rng, replace(settings, blurred_share=(0.0, 0.0)))
    kinds = tuple(DEFOCUS if radius > _SEEN_RADIUS else kind for radius, kind in zip(radii, made.kinds, strict=True))
    return _recorded(name, replace(made, kinds=kinds), rng)


def _recorded(name: str, made: PartlyBlurred, rng: np.random.Generator) -> RecordedStretch:
    limited = rng.random() < 0.5
    lumas = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in made.frames])
    if limited:
        # Decoded video mostly comes in limited range; RGB gives full range. A selector must not care.
        lumas = np.rint(16 + lumas * (219 / 255)).astype(np.uint8)
    return RecordedStretch(name, lumas, made.labels & (np.array(made.kinds) != DEFOCUS), made.kinds)


def _radius_pixels(frame: np.ndarray, rng: np.random.Generator) -> float:
    """Weak more often than strong; grows with the frame, as blur by motion does."""
    return float(1.25 + 8.0 * rng.random() ** 1.3 * min(frame.shape[:2]) / 540.0)


def _shallow(frames: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """A near thing in focus before a far background that is not, in every frame; focus breathes a little."""
    field = focal_field(frames[0].shape, float(rng.uniform(0.15, 0.6)), rng)
    breathing = 1.0 + rng.uniform(0.0, 0.3) * np.sin(np.arange(len(frames)) * rng.uniform(0.05, 0.4))
    return out_of_focus(frames, _radius_pixels(frames[0], rng) * breathing, field)


def _soften(frames: list[np.ndarray], sigma: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Soft in every frame is not motion-blurred: a poor lens or enlarged picture, or all but what is in focus."""
    soft = [cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames]
    if rng.random() < 0.4:
        return soft
    height, width = frames[0].shape[:2]
    field = cv2.resize(rng.standard_normal((3, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    in_focus = np.clip((field - np.quantile(field, rng.uniform(0.2, 0.9))) * 2.0, 0.0, 1.0)[..., None]
    far = sigma * float(rng.uniform(1.5, 5.0))
    return [
        np.rint(frame * in_focus + cv2.GaussianBlur(frame, (0, 0), far) * (1.0 - in_focus)).astype(np.uint8)
        for frame in frames
    ]
