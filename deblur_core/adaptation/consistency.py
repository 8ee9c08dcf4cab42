"""The reblur loss on unlabelled video: a restored frame, reblurred by the motion around it, must be what was recorded.

Knows how a network's frames become restored neighbours. How blur is formed is `deblur_core.reblur`'s business, which
places are looked at that of `triples`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from deblur_core.adaptation.triples import Triples, gives_neighbours
from deblur_core.models.network import RestorationNetwork
from deblur_core.reblur.formation import BlurFormation, Flow, flows_to_target, inside
from deblur_core.reblur.loss import frame_errors, self_supervised_loss

EXPOSURES = (0.125, 0.25, 0.5, 0.75, 1.0)
"""The τ that are tried where none is given: from an eighth of the way to a neighbour to all of it."""
_EXPLAINED = 0.9  # of the error of anything else; what is above is not blur by this motion
_KNOWN = 0.25  # share of a patch in which blur can be told

Run = Callable[[Tensor], Tensor]
"""The network on [B, C, S, S] in [0, 1] → float32 [B, 3 × outputs, S, S]."""


@dataclass(frozen=True)
class ReblurConsistency:
    """Eq. 7 for any network: `loss` is what it minimises. The flow is found anew each time, on restored frames."""

    network: RestorationNetwork
    formation: BlurFormation
    flow: Flow

    def loss(self, run: Run, triples: Triples) -> Tensor:
        """Mean squared error of the reblurred against the recorded targets; scalar. Where nothing is known it is 0.

        Gradients flow through the target; through its neighbours too if the flow is a torch module.
        """
        target, neighbours = self._restored(run, triples)
        flows = flows_to_target(target, neighbours, self.flow)
        known = inside([flow * triples.exposure.view(-1, 1, 1, 1) for flow in flows])
        reblurred = self.formation(target, flows, triples.exposure)
        return self_supervised_loss(reblurred, _unit(triples.recorded[:, 0]), known)

    @torch.no_grad()
    def judge(self, run: Run, triples: Triples) -> tuple[Triples, Tensor, Tensor]:
        """The same with the τ that fits each; whose blur the motion explains; and whose loss can teach: both bool [B].

        What the nearest sharp frame shows, aligned, stands for the truth. It says which τ it was: a frame that is not
        quite restored would say too little. Explained is a patch if so reblurred it is a tenth nearer to the recorded
        one than as it is, and than after the same motion turned by 90°, which softens as much: shake within one
        exposure need not show between frames. And only where the restored frame, reblurred, is still further from the
        recorded one than that does the loss point to the truth; below, it would fit the errors of flow and recording.
        """
        target, neighbours = self._restored(run, triples)
        recorded, sharp = _unit(triples.recorded[:, 0]), _unit(triples.reference[:, :3])
        flows = flows_to_target(target, neighbours, self.flow)
        turned = [torch.stack([-flow[:, 1], flow[:, 0]], dim=1) for flow in flows]
        known = inside([*flows, *turned]) & (triples.reference[:, 3:] > 0)
        # Which τ it is shows by warping as well, at a tenth of the time.
        warping = replace(self.formation, by="warping")
        along, across = (
            torch.stack([frame_errors(warping(sharp, lines, each), recorded, known) for each in EXPOSURES], dim=1)
            for lines in (flows, turned)
        )
        least, at = along.min(1)
        exposure = torch.tensor(EXPOSURES, device=at.device)[at]
        other = torch.minimum(across.amin(1), frame_errors(sharp, recorded, known))
        explained = (least < _EXPLAINED * other) & (known.float().mean((1, 2, 3)) > _KNOWN)
        behind = frame_errors(warping(target, flows, exposure), recorded, known) > least
        return replace(triples, exposure=exposure), explained, explained & behind

    def _restored(self, run: Run, triples: Triples) -> tuple[Tensor, list[Tensor]]:
        """The target [B, 3, S, S] and its neighbours; sharp ones are as they were recorded."""
        outputs = self.network.outputs
        frames = run(_unit(triples.inputs[:, 0])).unflatten(1, (outputs, 3))
        target = frames[:, outputs // 2].clamp(0.0, 1.0)
        offsets = (-1, 1) if triples.sharp.shape[1] == 2 else (1,)
        recorded = _unit(triples.recorded[:, 1:])
        with torch.set_grad_enabled(torch.is_grad_enabled() and isinstance(self.flow, nn.Module)):
            if gives_neighbours(self.network):
                around = torch.stack([frames[:, outputs // 2 + offset] for offset in offsets], dim=1)
            else:
                around = recorded.clone()
                blurred = ~triples.sharp
                if blurred.any():
                    around[blurred] = run(_unit(triples.inputs[:, 1:][blurred])).unflatten(1, (outputs, 3))[
                        :, outputs // 2
                    ]
            around = torch.where(triples.sharp[..., None, None, None], recorded, around.clamp(0.0, 1.0))
        return target, list(around.unbind(1))


def _unit(values: Tensor) -> Tensor:
    return values.float() / 255.0
