"""A stock of training samples on disk, rendered by processes of its own while the trainer already learns.

Sample `i` depends on the seed and `i` alone, whoever renders it and whenever: so a run that was killed goes on with
the very samples that it had, and a batch is a function of the step. Knows how a sample becomes planes, not how it is
blurred.
"""

import hashlib
import json
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import torch

from deblur_core.alignment import align
from deblur_core.errors import RestoreArchiveError, UsageError
from deblur_core.models.registry import load_restorer
from deblur_core.synthesis.samples import Sample, SampleSettings, draw_sample
from deblur_core.synthesis.window_samples import WindowSample, draw_window
from deblur_core.training.clips import Clip
from deblur_core.training.library import open_library
from deblur_core.training.shots import SAMPLES_PER_SHOT, draw_shot

_PLAN, _PLANES, _READY = "plan.json", "planes.npy", "ready.npy"
_PHOTO_WEIGHT = 6.0
_SHOTS = 1  # sets the random numbers of shots apart from those of samples


@dataclass(frozen=True)
class StockPlan:
    """What a stock holds. Two stocks of one plan are equal to the bit.

    samples: how many; references, window, moments: what a sample shows (RestorationNetwork's `references`, `frames`,
    `outputs`); drop_references: how often references are missing; guided: how often they are
    aligned to a picture between blurred and true, as in a second pass; held_out: from the clips for judging;
    shots_by: hash of the weights that restore the shots which every other part of the samples is cut from, see
    `shots.py`; none are when it is empty.
    """

    samples: int
    seed: int
    settings: SampleSettings
    references: int
    drop_references: float = 0.15
    guided: float = 0.6
    held_out: bool = False
    shots_by: str = ""

    @property
    def side(self) -> int:
        """Height and width of a sample, pixels."""
        return self.settings.patch + 2 * self.settings.margin

    @property
    def input_channels(self) -> int:
        """As RestorationNetwork.input_channels."""
        return 3 * self.settings.window + 4 * self.references

    @property
    def channels(self) -> int:
        """Input planes, then the truths: one, one for each frame of the window, or one for each moment."""
        return self.input_channels + 3 * self.settings.truths

    def described(self) -> str:
        """As JSON: what sets stocks apart. Without shots it reads as it did before there were any."""
        facts = asdict(self)
        if not self.shots_by:
            del facts["shots_by"]
        return json.dumps(facts, sort_keys=True)


@dataclass(frozen=True)
class ShotRestorer:
    """Whose restored frames guide in the samples cut from shots: a name of the registry, its weights."""

    name: str
    weights: Path

    def plan(self, plan: StockPlan) -> StockPlan:
        """The plan with shots by this restorer."""
        return replace(plan, shots_by=hashlib.sha256(self.weights.read_bytes()).hexdigest())


class Stock:
    """Renders a plan into `folder` with `workers` processes, or goes on with what lies there. A context manager.

    shot_restorer: of a plan with shots. planes: uint8 [samples, side, side, channels], mapped from disk; only the first
    `wait_for(n)` may be read.
    """

    def __init__(
        self,
        folder: Path,
        library: Path,
        plan: StockPlan,
        workers: int,
        shot_restorer: ShotRestorer | None = None,
    ) -> None:
        self.plan = plan
        self._ready = _prepare(folder, plan)
        self.planes: np.ndarray = np.load(folder / _PLANES, mmap_mode="r")
        self._workers: list[BaseProcess] = []
        self._known = 0
        # Workers are spawned, not forked: a fork of a process whose OpenCV threads have run hangs in its first warp.
        context = multiprocessing.get_context("spawn")
        if not self._ready.all():
            for number in range(workers):
                work = (folder, library, plan, number, workers, shot_restorer)
                worker = context.Process(target=_render, args=work, daemon=True)
                worker.start()
                self._workers.append(worker)

    def wait_for(self, count: int) -> None:
        """Returns once the first `count` samples are there. Raises RestoreArchiveError when their renderer died."""
        count = min(count, self.plan.samples)
        while self._known < count:
            ready = np.flatnonzero(self._ready[self._known : count] == 0)
            self._known = count if len(ready) == 0 else self._known + int(ready[0])
            if self._known < count:
                if any(worker.exitcode not in (None, 0) for worker in self._workers):
                    raise RestoreArchiveError("a process that renders training samples died: see its message above")
                time.sleep(0.02)

    def __enter__(self) -> "Stock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.terminate()
            worker.join()


def sample_planes(sample: Sample | WindowSample, plan: StockPlan, rng: np.random.Generator) -> np.ndarray:
    """uint8 [S, S, channels]: window, references with validity (0 or 255), truths; drops references at random."""
    planes = list(sample.window)
    if plan.references:
        guide = None
        if rng.random() < plan.guided:
            share = float(rng.uniform(0.3, 0.9))
            guide = cv2.addWeighted(sample.truths[0], share, sample.blurred, 1.0 - share, 0.0)
        missing = rng.random(plan.references) < (
            1.0 if rng.random() < plan.drop_references else plan.drop_references / 2
        )
        for reference, gone in zip((sample.before, sample.after), missing, strict=True):
            if gone:
                planes += [sample.blurred, np.zeros((plan.side, plan.side, 1), np.uint8)]
            else:
                [(warped, valid)] = align([reference], sample.blurred, guide)
                planes += [warped, (valid * 255).astype(np.uint8)[..., None]]
    return np.concatenate([*planes, *sample.truths], axis=2)


def _prepare(folder: Path, plan: StockPlan) -> np.ndarray:
    """Makes the files of a stock, or finds them. Raises UsageError when they belong to another plan."""
    folder.mkdir(parents=True, exist_ok=True)
    described = plan.described()
    if (folder / _PLAN).exists():
        if (folder / _PLAN).read_text(encoding="utf-8") != described:
            raise UsageError(
                f"the samples in {folder} were made for other settings: remove that folder, or --out elsewhere"
            )
    else:
        shape = (plan.samples, plan.side, plan.side, plan.channels)
        np.lib.format.open_memmap(folder / _PLANES, mode="w+", dtype=np.uint8, shape=shape)
        np.lib.format.open_memmap(folder / _READY, mode="w+", dtype=np.uint8, shape=(plan.samples,))
        (folder / _PLAN).write_text(described, encoding="utf-8")
    ready: np.ndarray = np.load(folder / _READY, mmap_mode="r")
    return ready


def _render(
    folder: Path, library: Path, plan: StockPlan, number: int, workers: int, shot_restorer: ShotRestorer | None
) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    os.nice(5)  # the trainer goes first; it lives on the samples that are there
    clips = open_library(library, plan.held_out)
    restorer = load_restorer(shot_restorer.name, "cpu", shot_restorer.weights) if shot_restorer else None
    planes, ready = np.load(folder / _PLANES, mmap_mode="r+"), np.load(folder / _READY, mmap_mode="r+")
    trainer = multiprocessing.parent_process()
    # Whole groups, since the samples of one shot are drawn together.
    for group in range(number, -(-plan.samples // SAMPLES_PER_SHOT), workers):
        if trainer is not None and not trainer.is_alive():
            return  # a trainer that was killed takes its renderers along
        numbers = range(group * SAMPLES_PER_SHOT, min((group + 1) * SAMPLES_PER_SHOT, plan.samples))
        if all(ready[index] for index in numbers):
            continue
        if restorer is not None and group % 2:
            rng = np.random.default_rng([plan.seed, _SHOTS, group])
            samples = iter(draw_shot(_pick_clip(clips, rng).frames, rng, restorer, plan.side))
        else:
            samples = (_draw(clips, plan, index) for index in numbers)
        for index, sample in zip(numbers, samples, strict=False):
            planes[index] = sample
            ready[index] = 1


def _draw(clips: list[Clip], plan: StockPlan, index: int) -> np.ndarray:
    rng = np.random.default_rng([plan.seed, index])
    clip = clips[index % len(clips)] if plan.held_out else _pick_clip(clips, rng)
    alone = plan.settings.window == plan.settings.truths == 1
    draw = draw_sample if alone else draw_window
    return sample_planes(draw(clip.frames, rng, plan.settings), plan, rng)


def _pick_clip(clips: list[Clip], rng: np.random.Generator) -> Clip:
    weights = np.array([min(len(clip.frames), 30) if len(clip.frames) > 1 else _PHOTO_WEIGHT for clip in clips])
    return clips[int(rng.choice(len(clips), p=weights / weights.sum()))]
