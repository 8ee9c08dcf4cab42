"""Content loss (GradientNet, Qi 2022, Eq. 8; Johnson et al. 2016): distance of features, not of pixels.

Knows no feature network: any frozen module from RGB frames to a feature map will do (`vgg19`, `feature_net`).
"""

import torch
from torch import Tensor, nn

from deblur_core.losses.operands import operands, single_frames


class ContentLoss(nn.Module):
    """1/CWH Σ ‖φ(s) − φ(G(b))‖₂, the norm over the C features of each position, mean over frames (GradientNet Eq. 8).

    The norm is not squared, as printed (Johnson's and DeblurGAN's is): it counts large differences less.
    features: φ, frozen by `load_features`, RGB [B, 3, H, W] in [0, 1] → [B, C, h, w]. channels: of one frame of what is
    compared, 3 (RGB) or 1 (luma).
    """

    def __init__(self, features: nn.Module, channels: int = 3) -> None:
        super().__init__()
        self.features = features
        self.channels = channels

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """restored, truth: [B, frames × channels, H, W] in [0, 1]. Returns a scalar ≥ 0; gradient flows into `restored`
        alone. Raises ValueError for different shapes or channels that are no whole number of frames."""
        restored, truth = operands(restored, truth)
        with torch.no_grad():
            wanted = self.features(single_frames(truth, self.channels))
        found, wanted = operands(self.features(single_frames(restored, self.channels)), wanted)
        return torch.linalg.vector_norm(found - wanted, dim=1).mean() / found.shape[1]
