"""FlowNetS: optical flow of two frames by one plain encoder and decoder (Dosovitskiy et al. 2015, Figures 2 and 3).

The paper's width of 64 has 38.7 million parameters. The default is half as wide, so that its weights stay under 25 MiB
in half precision. Knows neither training nor what the flow is for.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE_MULTIPLE = 64
FLOW_SCALE = 20.0
"""Pixels that stand for 1 in the network: flows are learnt divided by this, as by the authors' own training."""


def _convolution(channels: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.LeakyReLU(0.1))


class FlowNetS(nn.Module):
    """Flow on the grid of the first frame: first(p) shows what second(p + flow(p)) shows."""

    def __init__(self, width: int = 32) -> None:
        """width: channels of the first layer; 64 in the paper."""
        super().__init__()
        w = width
        self.encoder = nn.ModuleList(
            [
                _convolution(6, w, 7, 2),
                _convolution(w, 2 * w, 5, 2),
                nn.Sequential(_convolution(2 * w, 4 * w, 5, 2), _convolution(4 * w, 4 * w, 3, 1)),
                nn.Sequential(_convolution(4 * w, 8 * w, 3, 2), _convolution(8 * w, 8 * w, 3, 1)),
                nn.Sequential(_convolution(8 * w, 8 * w, 3, 2), _convolution(8 * w, 8 * w, 3, 1)),
                nn.Sequential(_convolution(8 * w, 16 * w, 3, 2), _convolution(16 * w, 16 * w, 3, 1)),
            ]
        )
        skips = (8 * w, 8 * w, 4 * w, 2 * w)
        rises = (8 * w, 4 * w, 2 * w, w)
        self.rise, self.predict, self.enlarge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        channels = 16 * w
        for skip, rise in zip(skips, rises, strict=True):
            self.predict.append(nn.Conv2d(channels, 2, 3, padding=1))
            self.enlarge.append(nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False))
            self.rise.append(nn.Sequential(nn.ConvTranspose2d(channels, rise, 4, 2, 1), nn.LeakyReLU(0.1)))
            channels = skip + rise + 2
        self.predict.append(nn.Conv2d(channels, 2, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.out_channels > 2:
                nn.init.kaiming_normal_(module.weight, a=0.1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two frames float [B, 3, H, W] in [0, 1] of any size → [B, 2, H, W], (x, y) in pixels, float32."""
        height, width = first.shape[2:]
        finest = self.pyramid(first, second)[-1]
        flow = F.interpolate(finest, scale_factor=4.0, mode="bilinear", align_corners=False)
        return flow[..., :height, :width]

    def pyramid(self, first: Tensor, second: Tensor) -> list[Tensor]:
        """The flow at 1/64, 1/32, 1/16, 1/8 and 1/4 of the padded size, each in pixels of the frame: what is trained.

        Frames are padded right and bottom with their border to a multiple of 64 on each side.
        """
        if first.shape != second.shape:
            raise ValueError(f"FlowNetS: frames of {list(first.shape)} and {list(second.shape)}")
        height, width = first.shape[2:]
        pad = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
        x = F.pad(torch.cat([first, second], dim=1), pad, mode="replicate") - 0.45
        maps = []
        for encode in self.encoder:
            x = encode(x)
            maps.append(x)
        flows = [self.predict[0](x)]
        for level, skip in enumerate(maps[-2:0:-1]):
            x = torch.cat([skip, self.rise[level](x), self.enlarge[level](flows[-1])], dim=1)
            flows.append(self.predict[level + 1](x))
        return [flow.float() * FLOW_SCALE for flow in flows]
