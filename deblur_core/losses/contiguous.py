"""Contiguous blurry loss (Niu et al. 2021, Eq. 5 to 10): how far features must be looked for that match, and how well.

One blurred frame has several sharp sequences; so a feature of the truth may be found anywhere near its place. Knows no
feature network.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deblur_core.losses.operands import operands, single_frames

BANDWIDTH = 0.5
"""h of Eq. 6, which the paper leaves open: that of the contextual loss, from which it starts (Mechrez et al. 2018)."""
_SMALLEST_DISTANCE = 1e-5  # ε of Eq. 5
_SMALLEST_LENGTH = 1e-4  # of a feature: keeps the gradient finite where a feature is the mean itself


def contiguous_loss(restored: Tensor, truth: Tensor, bandwidth: float = BANDWIDTH) -> Tensor:
    """−log(½ · 1/N Σ_j max_i P_ij (CX_ij + 1)) of two sets of N = h × w features, mean over the batch.

    CX_ij is Eq. 5 to 7: cosine distance d_ij of a restored feature i and a true one j (both less the mean of the true
    ones), over min_k d_ik + ε, through exp((1 − ·) / h), divided by its sum over k. (Eq. 5 prints d_ik without the
    minimum; the contextual loss has it.) P_ij stands for CX′_ij, which Eq. 9 prints as the *distance* of two places: so
    the loss would fall as matches move apart. Here P_ij = 1 − distance / √2, coordinates in [0, 1] across the frame: 1
    at the same place, 0 at the opposite corner. Eq. 10's product is at most 2, whence the ½: the loss is finite and in
    [0, log 2], 0 for equal features, and falls as two sets approach, in value or in place.

    restored, truth: features [B, C, h, w], computed in float32 even under autocast (float64 if given); memory grows
    with (h × w)². Gradient flows into both. Raises ValueError for different shapes or a bandwidth that is not positive.
    """
    if bandwidth <= 0.0:
        raise ValueError(f"contiguous_loss: bandwidth must be positive, not {bandwidth}")
    restored, truth = operands(restored, truth)
    nearness = _nearness(restored.shape[2], restored.shape[3], restored)
    with torch.autocast(restored.device.type, enabled=False):  # 1 − cosine has nothing left in half precision
        centre = truth.mean((2, 3), keepdim=True)
        x, y = (F.normalize((z - centre).flatten(2), dim=1, eps=_SMALLEST_LENGTH) for z in (restored, truth))
        distance = (1.0 - x.transpose(1, 2) @ y).clamp(min=0.0)  # [B, i, j]
        relative = distance / (distance.amin(2, keepdim=True) + _SMALLEST_DISTANCE)  # Eq. 5
        similarity = torch.softmax((1.0 - relative) / bandwidth, dim=2)  # Eq. 6 and 7
        found = (nearness * (similarity + 1.0)).amax(1).mean(1)  # Eq. 9
        return -torch.log(0.5 * found).mean()  # Eq. 10


def _nearness(rows: int, columns: int, like: Tensor) -> Tensor:
    """P of Eq. 9, [N, N] in [0, 1], N = rows × columns."""
    y = torch.linspace(0.0, 1.0, rows, device=like.device, dtype=like.dtype)
    x = torch.linspace(0.0, 1.0, columns, device=like.device, dtype=like.dtype)
    places = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)
    return 1.0 - (places[:, None] - places[None]).square().sum(2).sqrt() / math.sqrt(2.0)


class ContiguousLoss(nn.Module):
    """`contiguous_loss` of frames: learnt features with the RGB of their places beside them, as the paper adds it.

    The two parts are brought to the same mean length (by the truth's), so that neither is drowned. features: frozen,
    RGB [B, 3, H, W] in [0, 1] → [B, C, h, w]; the paper names no network. channels: of one frame, 3 (RGB) or 1 (luma).
    most_side: of the grid of features, which is thinned evenly where it is larger (32 × 32 features a frame take 4 MiB
    a matrix, of which there are about six).
    """

    def __init__(
        self, features: nn.Module, channels: int = 3, bandwidth: float = BANDWIDTH, most_side: int = 32
    ) -> None:
        super().__init__()
        self.features = features
        self.channels = channels
        self.bandwidth = bandwidth
        self.most_side = most_side

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """restored, truth: [B, frames × channels, H, W] in [0, 1]. Returns a scalar in [0, log 2]; gradient flows into
        `restored` alone. Raises ValueError for different shapes or channels that are no whole number of frames."""
        restored, truth = (single_frames(z, self.channels) for z in operands(restored, truth))
        with torch.no_grad():
            wanted, wanted_colour = self._features(truth)
            weight = _length(wanted) / _length(wanted_colour).clamp(min=_SMALLEST_LENGTH)
        found, found_colour = self._features(restored)
        return contiguous_loss(
            torch.cat([found, weight * found_colour], 1), torch.cat([wanted, weight * wanted_colour], 1), self.bandwidth
        )

    def _features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(frames).to(frames.dtype)
        step = max(-(-max(features.shape[2:]) // self.most_side), 1)
        colour = F.adaptive_avg_pool2d(frames, features.shape[2:])
        return features[..., ::step, ::step], colour[..., ::step, ::step]


def _length(values: Tensor) -> Tensor:
    """Mean length of features [B, C, h, w] less their mean, [B, 1, 1, 1]."""
    return (values - values.mean((2, 3), keepdim=True)).norm(dim=1).mean((1, 2)).view(-1, 1, 1, 1)
