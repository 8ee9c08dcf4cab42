"""First layers of VGG19 (Simonyan and Zisserman 2014), up to ReLU4-3: what GradientNet's content loss looks through.

The weights are ImageNet's, as torchvision publishes them; they are not part of this program. A user makes the file that
`load_features` reads from torchvision's once (its name carries the first digits of its SHA-256: compare them):

    sha256sum vgg19-dcbb9e9d.pth
    python -c "
    import sys, torch
    from safetensors.torch import save_file
    tensors = torch.load(sys.argv[1], weights_only=True)
    save_file({k: v.contiguous() for k, v in tensors.items() if k.startswith('features.')}, sys.argv[2])
    " vgg19-dcbb9e9d.pth vgg19.safetensors
    sha256sum vgg19.safetensors

Knows no file and no loss.
"""

import torch
from torch import Tensor, nn

_CONVOLUTIONS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512))
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB in [0, 1]


class VGG19Features(nn.Module):
    """RGB float [B, 3, H, W] in [0, 1], sides 8 or more → float [B, 512, H / 8, W / 8], ≥ 0: ReLU4-3, before the pool.

    8 225 344 parameters, named as torchvision does (`features.0.weight` … `features.23.bias`); 20.65 GMAC at 256².
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block, widths in enumerate(_CONVOLUTIONS):
            if block:
                layers.append(nn.MaxPool2d(2))
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        features: Tensor = self.features((frames - self.mean) / self.deviation)
        return features
