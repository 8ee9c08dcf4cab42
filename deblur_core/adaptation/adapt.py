"""Adapts a restorer to unlabelled videos in a few hundred iterations, and says whether it is the better for it.

The hybrid loss of Reblur2Deblur (Eq. 10) for any network. The given network is never changed: what comes back is the
adapted weights, or a refusal where held-out pairs say that they are worse. Knows no file.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deblur_core.adaptation.consistency import ReblurConsistency
from deblur_core.adaptation.footage import Footage
from deblur_core.adaptation.pairs import cut_batch, draw_pairs, middle_batch, sharp_clips
from deblur_core.adaptation.settings import LEAST_PATCH, AdaptationSettings
from deblur_core.adaptation.triples import Triples, draw_triples
from deblur_core.errors import UsageError
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.pooling import pool_locally
from deblur_core.models.precision import inference_dtype
from deblur_core.reblur.dis_flow import dis_flow
from deblur_core.reblur.formation import BlurFormation, Flow
from deblur_core.reblur.loss import hybrid_loss

_DECAYS = (0.15, 0.25, 0.5)
_WARM_UP = 0.05  # share of the iterations; Adam's first steps are as long as its rate, whatever the gradient
_LOOKS = 8
_BACK_OFF = 0.25  # of the rate, where it led astray
_BATCH = 8

Watch = Callable[[int], None]
"""Called with the number of iterations done."""


@dataclass(frozen=True)
class Adaptation:
    """What became of it. weights: float16, by name; the given network's own where `accepted` is False; found: the best
    that were met, accepted or not.

    before_db, after_db: mean PSNR of the restored middle frame on held-out pairs, with the given weights and with the
    best that were met, after `best_iteration` (0: the given ones); error_db: standard error of their difference, which
    counts only beyond twice that. looked_at, explained, teaching: blurred places,
    those whose blur a motion explains, and those that the reblur loss was computed on.
    """

    accepted: bool
    reason: str
    weights: dict[str, Tensor]
    found: dict[str, Tensor]
    before_db: float
    after_db: float
    error_db: float
    best_iteration: int
    looked_at: int
    explained: int
    teaching: int
    seconds: float


def adapt(
    network: RestorationNetwork,
    footage: Sequence[Footage],
    settings: AdaptationSettings | None = None,
    flow: Flow = dis_flow,
    device: torch.device | None = None,
    watch: Watch | None = None,
) -> Adaptation:
    """Fine-tunes a copy of `network` on the blurred frames of `footage` and on pairs made from its sharp ones.

    flow: how motion between restored frames is found; one that is a torch module passes gradients on. The same
    footage, settings and device give the same result up to rounding. Eight times on the way the weights are scored on
    held-out pairs: where they are clearly worse than the best so far, it goes back to those with a quarter of the rate.
    The best then face as many other pairs: unless they are clearly better than the given ones there, they are refused
    (by chance alone, some weights near the given ones always look a little better). Raises
    UsageError when there is nothing to learn from: no blurred frame with neighbours, too few sharp frames, frames under
    64 pixels.
    """
    settings = settings or AdaptationSettings()
    started = time.monotonic()
    work = _Work(network, footage, settings, flow, device or torch.device("cpu"))
    finite, best = work.learn(watch or (lambda iteration: None))
    before, after = work.verdict(_halved(network)), work.verdict(best.weights)
    gain = _Gain.of(after, before)
    accepted = gain.mean_db > 2.0 * gain.error_db
    if accepted:
        reason = "better on held-out pairs"
    elif finite or best.iteration:
        reason = "not clearly better on held-out pairs: the original stays"
    else:
        reason = "the loss was not finite: the original stays"
    return Adaptation(
        accepted,
        reason,
        best.weights if accepted else _halved(network),
        best.weights,
        float(before.mean()),
        float(after.mean()),
        gain.error_db,
        best.iteration,
        work.looked_at,
        work.explained,
        len(work.triples) if work.triples is not None else 0,
        time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Look:
    """How good the weights are after some iterations; scores: PSNR of each pair, dB."""

    iteration: int
    scores: Tensor
    weights: dict[str, Tensor]


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
        count = 2 * settings.held_out_patches
        drawn = middle_batch(draw_pairs(judge, count, guiding, self.patch, held_out), self.patch)
        self._choosing, self._judging = drawn.chunk(2)
        count = min(settings.labelled_patches, settings.labelled_batch * settings.iterations)
        self._pairs = draw_pairs(learn, count, guiding, self.patch, self._rng)

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

    def learn(self, watch: Watch) -> tuple[bool, _Look]:
        """All iterations; whether the loss was finite throughout (else it ended early), and the best weights met."""
        settings, rate = self.settings, self.settings.rate
        best = self._look(0)
        optimiser = torch.optim.Adam(self.network.parameters())
        looks = {round(settings.iterations * (look + 1) / _LOOKS) for look in range(_LOOKS)}
        for iteration in range(1, settings.iterations + 1):
            for group in optimiser.param_groups:
                group["lr"] = rate * rate_share(iteration / settings.iterations)
            loss = self._loss()
            if not torch.isfinite(loss):
                return False, best
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            watch(iteration)
            if iteration in looks:
                look = self._look(iteration)
                gain = _Gain.of(look.scores, best.scores)
                if gain.mean_db > 0.0:
                    best = look
                elif not gain.mean_db >= -gain.error_db:
                    self._load(best.weights)
                    optimiser = torch.optim.Adam(self.network.parameters())
                    rate *= _BACK_OFF
        return True, best

    def _look(self, iteration: int) -> _Look:
        """Scores the weights as they would be written; learning goes on with the unrounded ones."""
        exact = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        weights = _halved(self.network)
        self._load(weights)
        scores = self._scores(self._choosing)
        self.network.load_state_dict(exact)
        return _Look(iteration, scores, weights)

    def verdict(self, weights: dict[str, Tensor]) -> Tensor:
        """PSNR of each of the pairs that chose nothing, dB; these weights stay in the network."""
        self._load(weights)
        return self._scores(self._judging)

    def _load(self, weights: dict[str, Tensor]) -> None:
        self.network.load_state_dict({name: value.float() for name, value in weights.items()})

    def _loss(self) -> Tensor:
        """Eq. 10 over a mini-batch that is partly labelled and partly not."""
        settings = self.settings
        pairs = cut_batch(self._pairs, settings.labelled_batch, self.patch, self._rng).to(self.device).float() / 255.0
        channels = self.network.input_channels
        supervised = supervised_loss(self.run(pairs[:, :channels]), pairs[:, channels:], self.network)
        if self.triples is None or settings.alpha == 0:
            return supervised
        numbers = torch.from_numpy(self._rng.integers(len(self.triples), size=settings.unlabelled_batch))
        triples = self.triples.pick(numbers, self.device)
        return hybrid_loss(supervised, self.consistency.loss(self.run, triples), settings.alpha)

    @torch.no_grad()
    def _scores(self, pairs: Tensor) -> Tensor:
        """PSNR of the restored middle frame of each of uint8 [N, C, patch, patch], dB: [N] on the CPU."""
        channels, middle = self.network.input_channels, 3 * (self.network.outputs // 2)
        values = []
        for start in range(0, len(pairs), _BATCH):
            batch = pairs[start : start + _BATCH].to(self.device).float() / 255.0
            restored = self.run(batch[:, :channels])[:, middle : middle + 3].clamp(0.0, 1.0)
            truth = batch[:, channels + middle : channels + middle + 3]
            values.append(-10.0 * torch.log10((restored - truth).square().mean((1, 2, 3)) + 1e-9))
        return torch.cat(values).cpu()


def rate_share(progress: float) -> float:
    """Of the highest rate, at `progress` (0 to 1) through the iterations: it rises, then is halved three times."""
    return min(progress / _WARM_UP, 1.0) * 0.5 ** sum(progress > decay for decay in _DECAYS)


def supervised_loss(output: Tensor, truth: Tensor, network: RestorationNetwork) -> Tensor:
    """Eq. 2 with h = MSE: [B, 3 × outputs, H, W] twice → scalar.

    Blur does not say which way the camera went, so moments of one exposure may be right forwards or backwards.
    """
    error = (output - truth).square().mean((1, 2, 3))
    if network.frames == 1 and network.outputs > 1:
        backwards = truth.unflatten(1, (network.outputs, 3)).flip(1).flatten(1, 2)
        error = torch.minimum(error, (output - backwards).square().mean((1, 2, 3)))
    return error.mean()


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
