"""The `default` restorer: a blurred frame with its two nearest sharp frames, aligned, through NeighbourNAFNet.

Knows how to turn frames into the network's input and back, on CPU or GPU; the network itself is next door.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from deblur_core.alignment import align, flow_luma
from deblur_core.errors import WeightsError
from deblur_core.models.neighbour_nafnet import REFERENCES, NeighbourNAFNet
from deblur_core.models.precision import inference_dtype
from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer
from deblur_core.models.tiling import run_tiled

TRAINING_PATCH = 192
MOST_TILE_PIXELS = 1 << 20  # a 720p frame passes whole; activations stay under about 400 MiB


class NeighbourRestorer(Restorer):
    """Restores one frame from itself and up to two sharp references; without any it works on the frame alone."""

    def __init__(self, name: str, network: NeighbourNAFNet, weights_sha256: str, device: torch.device) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self.needs = ContextNeeds(sharp_references=REFERENCES)
        self.device = device
        self.dtype = inference_dtype(device)
        network.pool_locally(TRAINING_PATCH)
        self._network: NeighbourNAFNet = network.to(device).eval()
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, name: str, weights: Path, weights_sha256: str, device: torch.device) -> "NeighbourRestorer":
        """Builds the network and fills it. Raises WeightsError when the file belongs to another architecture."""
        network = NeighbourNAFNet()
        try:
            network.load_state_dict({key: value.float() for key, value in load_file(str(weights)).items()})
        except (RuntimeError, SafetensorError) as cause:
            first_line = str(cause).splitlines()[0]
            raise WeightsError(f"{weights} does not hold weights of NeighbourNAFNet ({first_line})") from cause
        return cls(name, network, weights_sha256, device)

    @torch.inference_mode()
    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        """See Restorer.restore_frame. Extra references beyond two are ignored."""
        target = window.target
        if any(frame.shape != target.shape or frame.dtype != target.dtype for frame in window.references):
            raise ValueError("restore_frame: the references are not of the target's size and dtype")
        peak = float(np.iinfo(target.dtype).max)
        x = self._network_input(target, window.references, peak)
        y = run_tiled(self._forward, x, NeighbourNAFNet.size_multiple, MOST_TILE_PIXELS)
        restored = y[0].clamp_(0.0, 1.0).permute(1, 2, 0).mul_(peak).round_()
        return restored.cpu().numpy().astype(target.dtype)

    def _forward(self, x: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            return self._network(x.contiguous(memory_format=torch.channels_last))

    def _network_input(self, target: np.ndarray, references: Sequence[np.ndarray], peak: float) -> Tensor:
        """float32 [1, 11, H, W] on the device: frame, then each reference warped onto it with its validity."""
        planes = [self._tensor(target, peak)]
        luma = flow_luma(target) if references else None
        for reference in references[:REFERENCES]:
            assert luma is not None
            warped, valid = align(reference, target, luma)
            planes += [self._tensor(warped, peak), self._tensor(valid[..., None], 1.0)]
        for _ in range(REFERENCES - len(references[:REFERENCES])):
            planes += [planes[0], torch.zeros_like(planes[0][:1])]
        return torch.cat(planes)[None]

    def _tensor(self, image: np.ndarray, peak: float) -> Tensor:
        # Shipped as it is stored and widened there: a quarter of the bytes over the bus.
        if image.dtype == np.uint16:
            image = image.astype(np.float32)
        return torch.from_numpy(image).to(self.device).permute(2, 0, 1).float() / peak
