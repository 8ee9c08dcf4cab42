"""A small network of VGG's shape for losses that look through features, where ImageNet's weights are not to be had.

Its weights are trained on our own frames (a safetensors file, see `feature_weights`). Knows no file and no loss.
"""

from torch import Tensor, nn

_WIDTHS = (32, 64, 128)


class FeatureNet(nn.Module):
    """RGB float [B, 3, H, W] in [0, 1], sides 4 or more → float [B, 128, H / 4, W / 4], ≥ 0.

    Three blocks of two 3 × 3 convolutions with ReLU, halved by a maximum between them: 287 008 parameters, 2.47 GMAC at
    256². The last block's features come after their activation and before any pool, as VGG's do.
    """

    channels = _WIDTHS[-1]
    """How many features a position has."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block, width in enumerate(_WIDTHS):
            if block:
                layers.append(nn.MaxPool2d(2))
            for _ in range(2):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)

    def forward(self, frames: Tensor) -> Tensor:
        # Centred, so that the first layer's padding with zeros is mid-grey, not black.
        features: Tensor = self.features(2.0 * frames - 1.0)
        return features
