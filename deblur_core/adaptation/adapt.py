"""Adapts a restorer to unlabelled videos in a few hundred iterations, and says whether it is the better for it.

The hybrid loss of Reblur2Deblur (Eq. 10) for any network, and beside it what a stronger restorer makes of the same
blurred frames. The given network is never changed: what comes back is the adapted weights, or a refusal where held-out
pairs say that they are worse. Knows no file.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deblur_core.adaptation.consistency import ReblurConsistency
from deblur_core.adaptation.distillation import draw_distilled
from deblur_core.adaptation.footage import Footage
from deblur_core.adaptation.pairs import cut_batch, draw_pairs, gives_frames, middle_batch, sharp_clips
from deblur_core.adaptation.settings import LEAST_PATCH, AdaptationSettings
from deblur_core.adaptation.triples import Triples, draw_triples
from deblur_core.errors import UsageError
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.pooling import pool_locally
from deblur_core.models.precision import inference_dtype
from deblur_core.models.restorer import Restorer
from deblur_core.reblur.dis_flow import dis_flow
from deblur_core.reblur.formation import BlurFormation, Flow
from deblur_core.reblur.loss import hybrid_loss

_WARM_UP = 0.05  # share of the iterations; Adam's first steps are as long as its rate, whatever the gradient
_AVERAGED = 0.95  # of the running mean of the weights, that stays at each iteration
_LOOKS = (0.125, 0.25, 0.5)  # shares of the iterations
_ASTRAY_DB = 0.5  # a little loss at first comes before many a gain
_BACK_OFF = 0.25  # of the rate, where it led astray
_BATCH = 8
_USUAL_ERROR, _LEAST_ERROR = 1e-3, 1e-6  # mean squared errors of 30 and 60 dB

Watch = Callable[[int], None]
"""Called with the number of iterations done."""


@dataclass(frozen=True)
class Adaptation:
    """What became of it. weights: float16, by name; the given network's own where `accepted` is False; found: what was
    learnt, accepted or not.

    before_db, after_db: mean PSNR of the restored middle frame on held-out pairs, with the given weights and with those
    learnt; error_db: standard error of their difference, which counts only beyond twice that. looked_at, explained,
    teaching: blurred places, those whose blur a motion explains, and those that the reblur loss was computed on;
    taught: places that a teacher restored.
    """

    accepted: bool
    reason: str
    weights: dict[str, Tensor]
    found: dict[str, Tensor]
    before_db: float
    after_db: float
    error_db: float
    looked_at: int
    explained: int
    teaching: int
    taught: int
    seconds: float


def adapt(
    network: RestorationNetwork,
    footage: Sequence[Footage],
    settings: AdaptationSettings | None = None,
    flow: Flow = dis_flow,
    device: torch.device | None = None,
    watch: Watch | None = None,
    teacher: Restorer | None = None,
) -> Adaptation:
    """Fine-tunes a copy of `network` on the blurred frames of `footage` and on pairs made from its sharp ones.

    flow: how motion between restored frames is found; one that is a torch module passes gradients on. teacher: what it
    makes of the blurred frames stands for their truth, beside the pairs; None for Reblur2Deblur as published. The same
    footage, settings and device give the same result up to rounding. What comes back is a running mean of the weights
    (Polyak and Juditsky 1992): single steps over a few patches lose what their mean gains. Thrice on the way it is
    scored on held-out pairs: where it has gone astray, learning goes back to the given weights with a quarter of the
    rate. In the end, unless it is clearly better than the given ones there, it is refused. Raises UsageError when there
    is nothing to learn from (no blurred frame with neighbours, too few sharp frames, frames under 64 pixels), or for a
    teacher where the network gives other frames than a teacher does.
    """
    settings = settings or AdaptationSettings()
    started = time.monotonic()
    work = _Work(network, footage, settings, flow, device or torch.device("cpu"), teacher)
    before = work.scores()
    finite, learnt = work.learn(watch or (lambda iteration: None), before)
    work.load(learnt)
    after = work.scores()
    gain = _Gain.of(after, before)
    accepted = finite and gain.mean_db > 2.0 * gain.error_db
    if accepted:
        reason = "better on held-out pairs"
    elif finite:
        reason = "not clearly better on held-out pairs: the original stays"
    else:
        reason = "the loss was not finite: the original stays"
    return Adaptation(
        accepted,
        reason,
        learnt if accepted else _halved(network),
        learnt,
        float(before.mean()),
        float(after.mean()),
        gain.error_db,
        work.looked_at,
        work.explained,
        len(work.triples) if work.triples is not None else 0,
        len(work.distilled),
        time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Gain:
    """Mean of paired differences and its standard error, dB; of one pair, which tells nothing, the whole difference."""

    mean_db: float
    error_db: float

    @staticmethod
    def of(scores: Tensor, others: Tensor) -> "_Gain":
        gain = scores - others
        error = gain.std() / len(gain) ** 0.5 if len(gain) > 1 else gain.abs().mean()
        return _Gain(float(gain.mean()), float(error))


def _halved(network: RestorationNetwork) -> dict[str, Tensor]:
    """The weights as they are written to a file."""
    return {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}


class _Work:
    """A copy of the network with all that it learns from."""

    def __init__(
        self,
        network: RestorationNetwork,
        footage: Sequence[Footage],
        settings: AdaptationSettings,
        flow: Flow,
        device: torch.device,
        teacher: Restorer | None,
    ) -> None:
        self.settings, self.device = settings, device
        # Dropout and batch statistics stay as they are in use: a few patches must not move them.
        self.network: RestorationNetwork = copy.deepcopy(network).to(device).eval().float()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pool_locally(self.network, None)
        self.dtype = inference_dtype(device) if network.half_precision else torch.float32
        self.patch = _patch(network, footage, settings.patch)
        self._rng = np.random.default_rng(settings.seed)
        learn, judge = sharp_clips(footage)
        guiding = NetworkRestorer("", copy.deepcopy(network), "", self.device)
        formation = BlurFormation(settings.formation)
        self.consistency = ReblurConsistency(self.network, formation, flow)
        self.triples = self._triples(footage)
        held_out = np.random.default_rng([settings.seed, 1])
        drawn = draw_pairs(judge, settings.held_out_patches, guiding, self.patch, held_out)
        self._judging = middle_batch(drawn, self.patch)
        count = min(settings.labelled_patches, settings.labelled_batch * settings.iterations)
        self._pairs = draw_pairs(learn, count, guiding, self.patch, self._rng)
        self.distilled: list[np.ndarray] = []
        if teacher is not None:
            if not gives_frames(network):
                raise UsageError(
                    f"a network that gives {network.outputs} moments of an exposure cannot learn from a restorer of "
                    "frames: name no teacher"
                )
            count = min(settings.taught_patches, settings.taught_batch * settings.iterations)
            self.distilled = draw_distilled(footage, count, guiding, teacher, self.patch, self._rng)

    def _triples(self, footage: Sequence[Footage]) -> Triples | None:
        """Those places whose loss can teach; all of them where τ is given."""
        settings = self.settings
        exposure = settings.exposure if settings.exposure is not None else 1.0
        drawn = draw_triples(
            footage, settings.unlabelled_patches, self.network, self.patch, settings.frames, exposure, self._rng
        )
        if drawn is None:
            raise UsageError(
                "no blurred frame was found that has its neighbours beside it: there is nothing to adapt to; "
                "name videos with blurred frames"
            )
        self.looked_at, self.explained = len(drawn), 0
        if settings.exposure is not None:
            self.explained = len(drawn)
            return drawn
        kept = []
        for start in range(0, len(drawn), _BATCH):
            numbers = torch.arange(start, min(start + _BATCH, len(drawn)))
            judged, explained, teaching = self.consistency.judge(self.run, drawn.pick(numbers, self.device))
            self.explained += int(explained.sum())
            kept.append(judged.pick(teaching, torch.device("cpu")))
        triples = Triples.joined(kept)
        return triples if len(triples) else None

    def run(self, x: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            return self.network(x.contiguous(memory_format=torch.channels_last)).float()

    def learn(self, watch: Watch, given: Tensor) -> tuple[bool, dict[str, Tensor]]:
        """All iterations; whether the loss was finite throughout (else it ended early), and the mean weights as they
        would be written. given: scores of the given weights."""
        settings, rate = self.settings, self.settings.rate
        start = _halved(self.network)
        mean = _RunningMean(self.network)
        optimiser = torch.optim.Adam(self.network.parameters())
        looks = {round(settings.iterations * share) for share in _LOOKS}
        for iteration in range(1, settings.iterations + 1):
            for group in optimiser.param_groups:
                group["lr"] = rate * rate_share((iteration - 0.5) / settings.iterations)
            loss = self._loss()
            if not torch.isfinite(loss):
                return False, start
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            mean.add(self.network)
            watch(iteration)
            if iteration in looks and self._is_astray(mean, given):
                self.load(start)
                mean = _RunningMean(self.network)
                optimiser = torch.optim.Adam(self.network.parameters())
                rate *= _BACK_OFF
        return True, mean.halved()

    def _is_astray(self, mean: "_RunningMean", given: Tensor) -> bool:
        """Scores the mean; learning goes on with the weights as they are."""
        exact = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.load(mean.halved())
        gain = _Gain.of(self.scores(), given)
        self.network.load_state_dict(exact)
        return not gain.mean_db > -_ASTRAY_DB

    def load(self, weights: dict[str, Tensor]) -> None:
        self.network.load_state_dict({name: value.float() for name, value in weights.items()})

    def _loss(self) -> Tensor:
        """Eq. 10 over a mini-batch that is partly labelled and partly not."""
        settings = self.settings
        pairs = cut_batch(self._pairs, settings.labelled_batch, self.patch, self._rng)
        if self.distilled:
            taught = cut_batch(self.distilled, settings.taught_batch, self.patch, self._rng)
            pairs = torch.cat([pairs, taught])
        pairs = pairs.to(self.device).float() / 255.0
        channels = self.network.input_channels
        supervised = supervised_loss(self.run(pairs[:, :channels]), pairs[:, channels:], self.network)
        if self.triples is None or settings.alpha == 0:
            return supervised
        numbers = torch.from_numpy(self._rng.integers(len(self.triples), size=settings.unlabelled_batch))
        triples = self.triples.pick(numbers, self.device)
        return hybrid_loss(supervised, self.consistency.loss(self.run, triples), settings.alpha)

    @torch.no_grad()
    def scores(self) -> Tensor:
        """PSNR of the restored middle frame of each held-out pair with the weights as they are, dB: [N] on the CPU."""
        channels, middle = self.network.input_channels, 3 * (self.network.outputs // 2)
        values = []
        for start in range(0, len(self._judging), _BATCH):
            batch = self._judging[start : start + _BATCH].to(self.device).float() / 255.0
            restored = self.run(batch[:, :channels])[:, middle : middle + 3].clamp(0.0, 1.0)
            truth = batch[:, channels + middle : channels + middle + 3]
            values.append(-10.0 * torch.log10((restored - truth).square().mean((1, 2, 3)) + 1e-9))
        return torch.cat(values).cpu()


class _RunningMean:
    """The mean of a network's weights over the last twenty iterations or so."""

    def __init__(self, network: RestorationNetwork) -> None:
        self._weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self._count = 0

    @torch.no_grad()
    def add(self, network: RestorationNetwork) -> None:
        self._count += 1
        share = max(1.0 - _AVERAGED, 1.0 / self._count)  # or the first would count for all
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self._weights[name].lerp_(value, share)
            else:
                self._weights[name].copy_(value)

    def halved(self) -> dict[str, Tensor]:
        """As they are written to a file."""
        return {name: value.cpu().half().contiguous() for name, value in self._weights.items()}


def rate_share(progress: float) -> float:
    """Of the highest rate, at `progress` (0 to 1) through the iterations: it rises, then falls along a cosine."""
    return min(progress / _WARM_UP, 1.0) * 0.5 * (1.0 + math.cos(math.pi * progress))


def supervised_loss(output: Tensor, truth: Tensor, network: RestorationNetwork) -> Tensor:
    """Eq. 2 with h = log MSE, scaled as MSE is where it is 0.001: [B, 3 × outputs, H, W] twice → scalar.

    What counts is PSNR, and by plain MSE the few worst patches would outweigh all others. Blur does not say which way
    the camera went, so moments of one exposure may be right forwards or backwards.
    """
    error = (output - truth).square().mean((1, 2, 3))
    if network.frames == 1 and network.outputs > 1:
        backwards = truth.unflatten(1, (network.outputs, 3)).flip(1).flatten(1, 2)
        error = torch.minimum(error, (output - backwards).square().mean((1, 2, 3)))
    return _USUAL_ERROR * torch.log1p(error / _LEAST_ERROR).mean()


def _patch(network: RestorationNetwork, footage: Sequence[Footage], wanted: int) -> int:
    """The side of the patches: as wanted, or what the smallest frame and the network's multiple leave of it."""
    if not footage:
        raise UsageError("no frames to adapt to: name videos that can be read")
    smallest = min(footage, key=lambda each: each.shorter_side)
    patch = min(wanted, smallest.shorter_side) // network.size_multiple * network.size_multiple
    if patch < LEAST_PATCH:
        raise UsageError(
            f"{smallest.name} has frames of {smallest.shorter_side} pixels on the shorter side, too few for patches of "
            f"{LEAST_PATCH}: leave it out"
        )
    return patch
