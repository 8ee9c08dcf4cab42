"""Trains the `default` restorer on samples made while it trains. Knows no video pipeline and no cluster.

python -m deblur_core.training.restorer --data CORPUS --minutes 60 --out weights.safetensors
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from deblur_core.alignment import align, flow_luma
from deblur_core.models.neighbour_nafnet import NeighbourNAFNet
from deblur_core.synthesis.samples import Sample, SampleSettings, draw_sample
from deblur_core.training.clips import HELD_OUT, Clip, load_corpus


def network_input(sample: Sample, rng: np.random.Generator, drop: float) -> np.ndarray:
    """uint8 [S, S, 11 + 3]: frame, references with validity (0 or 255), then the truth; drops references at random."""
    luma = flow_luma(sample.blurred)
    planes = [sample.blurred]
    missing = rng.random(2) < (1.0 if rng.random() < drop else drop / 2)
    for reference, gone in zip((sample.before, sample.after), missing, strict=True):
        if gone:
            planes += [sample.blurred, np.zeros((*luma_size(sample), 1), np.uint8)]
        else:
            warped, valid = align(reference, sample.blurred, luma)
            planes += [warped, (valid * 255).astype(np.uint8)[..., None]]
    return np.concatenate([*planes, sample.truth], axis=2)


def luma_size(sample: Sample) -> tuple[int, int]:
    """Height and width of a sample's frames, pixels."""
    return sample.blurred.shape[0], sample.blurred.shape[1]


def _produce(data: Path, settings: SampleSettings, seed: int, queue: "multiprocessing.Queue[np.ndarray]") -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    os.nice(5)  # the trainer goes first; the pool lives on the samples it has
    clips = load_corpus(data)
    rng = np.random.default_rng(seed)
    weights = np.array([min(len(clip.frames), 30) if len(clip.frames) > 1 else 6.0 for clip in clips])
    weights /= weights.sum()
    while True:
        clip = clips[int(rng.choice(len(clips), p=weights))]
        queue.put(network_input(draw_sample(clip.frames, rng, settings), rng, drop=0.15))


def _patches(pool: list[np.ndarray], batch: int, settings: SampleSettings, rng: np.random.Generator) -> Tensor:
    """uint8 [B, 14, P, P]: random samples of the pool, each cut, flipped and turned anew."""
    out = []
    for index in rng.integers(len(pool), size=batch):
        y, x = rng.integers(settings.margin // 2, 3 * settings.margin // 2, 2)
        patch = pool[index][y : y + settings.patch, x : x + settings.patch]
        patch = np.rot90(patch, int(rng.integers(4)))
        out.append(patch[:, ::-1] if rng.random() < 0.5 else patch)
    return torch.from_numpy(np.ascontiguousarray(np.stack(out))).permute(0, 3, 1, 2)


def _psnr_loss(output: Tensor, truth: Tensor) -> Tensor:
    error = (output.float() - truth).square().mean((1, 2, 3))
    return 10.0 / np.log(10.0) * torch.log(error + 1e-6).mean()


def train(
    data: Path,
    out: Path,
    minutes: float,
    batch: int,
    seed: int,
    workers: int,
    threads: int,
    start_from: Path | None,
    peak_rate: float,
) -> None:
    """Fits the network for `minutes` of wall clock (the cosine schedule ends with them) and writes weights and log.

    start_from: weights to go on from; peak_rate: learning rate after its warm-up. `out` gets float16 weights of the
    moving average (EMA 0.999) every five minutes, `out` with `.jsonl` the log.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    settings = SampleSettings(patch=192)
    # Workers are spawned, not forked: a fork of a process whose OpenCV threads have run hangs in its first warp.
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[np.ndarray] = context.Queue(32)
    for worker in range(workers):
        context.Process(target=_produce, args=(data, settings, seed * 1000 + worker, queue), daemon=True).start()
    validation = list(_validation(load_corpus(data, most_frames=60, only=HELD_OUT), settings))
    pool = [queue.get() for _ in range(64)]
    net = _network()
    if start_from is not None:
        net.load_state_dict({name: value.float() for name, value in load_file(str(start_from)).items()})
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.9), weight_decay=1e-3)
    average = {name: value.detach().clone() for name, value in net.state_dict().items()}
    rng = np.random.default_rng(seed)
    start, step, oldest, saved, running = time.monotonic(), 0, 0, 0.0, 0.0
    while (progress := (time.monotonic() - start) / (minutes * 60.0)) < 1.0:
        oldest = _refresh(pool, queue, oldest)
        rate = peak_rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * np.cos(np.pi * progress)) + 1e-6
        for group in optimiser.param_groups:
            group["lr"] = rate
        stack = _patches(pool, batch, settings, rng).float().div_(255.0).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = net(stack[:, :11])
        loss = _psnr_loss(output, stack[:, 11:])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(0.999, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            average[name].lerp_(value, 1.0 - decay)
        running = 0.98 * running + 0.02 * float(loss.detach()) if step > 1 else float(loss.detach())
        if time.monotonic() - saved > 300.0:
            saved = time.monotonic()
            _checkpoint(average, out, validation, step, progress, running)
    _checkpoint(average, out, validation, step, 1.0, running)


def _network() -> NeighbourNAFNet:
    net: NeighbourNAFNet = NeighbourNAFNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _refresh(pool: list[np.ndarray], queue: "multiprocessing.Queue[np.ndarray]", oldest: int) -> int:
    """Moves fresh samples into the pool (grown to 600, then oldest out first); never waits for one."""
    for _ in range(16):
        try:
            fresh = queue.get_nowait()
        except Empty:
            break
        if len(pool) < 600:
            pool.append(fresh)
        else:
            pool[oldest % 600] = fresh
            oldest += 1
    return oldest


def _validation(clips: list[Clip], settings: SampleSettings) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(20260)
    blurred = SampleSettings(patch=settings.patch, share_sharp=0.0)
    for number in range(48):
        sample = draw_sample(clips[number % len(clips)].frames, rng, blurred)
        yield network_input(sample, rng, drop=0.0)


def _checkpoint(
    average: dict[str, Tensor], out: Path, validation: list[np.ndarray], step: int, progress: float, loss: float
) -> None:
    net = _network()
    net.load_state_dict(average)
    gains, before = [], []
    with torch.inference_mode():
        for number in range(0, len(validation), 8):
            stack = torch.from_numpy(np.stack(validation[number : number + 8])).permute(0, 3, 1, 2).float() / 255.0
            stack = stack[..., 32:-32, 32:-32].contiguous(memory_format=torch.channels_last)
            stack = stack[..., : stack.shape[2] // 16 * 16, : stack.shape[3] // 16 * 16]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                output = net(stack[:, :11]).float().clamp(0, 1)
            truth = stack[:, 11:]
            for image, restored, sharp in zip(stack[:, :3], output, truth, strict=True):
                first = float(-10 * torch.log10((image - sharp).square().mean() + 1e-9))
                before.append(first)
                gains.append(float(-10 * torch.log10((restored - sharp).square().mean() + 1e-9)) - first)
    save_file({name: value.half().contiguous() for name, value in average.items()}, str(out))
    line = {"step": step, "progress": round(progress, 4), "loss_db": round(loss, 3)}
    line |= {
        "held_out_before_db": round(float(np.mean(before)), 3),
        "held_out_gain_db": round(float(np.mean(gains)), 3),
    }
    with out.with_suffix(".jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the default restorer")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start-from", type=Path, help="weights to go on from; the schedule starts anew")
    parser.add_argument("--peak-rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    train(**vars(arguments))


if __name__ == "__main__":
    main()
