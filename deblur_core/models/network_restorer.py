"""Runs any restoration network on frames as they are stored: the restorer behind every name of the registry.

Knows how to turn a window of frames into a network's input and back, on CPU or GPU; the networks are next door.
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
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import pool_locally
from deblur_core.models.precision import inference_dtype
from deblur_core.models.restorer import FrameWindow, Restorer
from deblur_core.models.tiling import run_tiled

MOST_TILE_PIXELS = 1 << 20  # a 720p frame passes whole; activations stay under about 400 MiB


def fill_network(network: RestorationNetwork, weights: Path) -> None:
    """Loads a safetensors file (half or single precision) into a network.

    Raises WeightsError when the file cannot be read as such or belongs to another architecture. Nothing is unpickled.
    """
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in load_file(str(weights)).items()})
    except (RuntimeError, OSError, SafetensorError) as cause:
        first_line = str(cause).splitlines()[0]
        raise WeightsError(f"{weights} does not hold weights of {type(network).__name__} ({first_line})") from cause


class NetworkRestorer(Restorer):
    """Restores frames by one network; what stands around a frame reaches it as the network asks for it."""

    def __init__(
        self,
        name: str,
        network: RestorationNetwork,
        weights_sha256: str,
        device: torch.device,
        dtype: torch.dtype | None = None,
        most_tile_pixels: int = MOST_TILE_PIXELS,
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self.needs = network.needs
        self.device = device
        self.dtype = dtype or (inference_dtype(device) if network.half_precision else torch.float32)
        self.most_tile_pixels = most_tile_pixels
        pool_locally(network, network.training_patch)
        self.network: RestorationNetwork = network.to(device).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def moments(self) -> int:
        """How many frames `restore_moments` gives."""
        return self.network.outputs

    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        """See Restorer.restore_frame. References beyond those that the network takes are ignored."""
        return self.restore_moments(window)[self.network.outputs // 2]

    @torch.inference_mode()
    def restore_moments(self, window: FrameWindow) -> np.ndarray:
        """All frames that the network gives for this window: RGB [`moments`, H, W, 3] of the target's dtype, in order
        of time. Raises ValueError for mixed sizes or dtypes."""
        target = window.target
        around = (*window.references, *window.neighbours.values())
        if any(frame.shape != target.shape or frame.dtype != target.dtype for frame in around):
            raise ValueError("restore_frame: the frames around the target are not of its size and dtype")
        peak = float(np.iinfo(target.dtype).max)
        x = self._network_input(window, peak)
        network = self.network
        y = run_tiled(self._forward, x, network.size_multiple, self.most_tile_pixels, network.tile_overlap)
        restored = y[0].clamp_(0.0, 1.0).mul_(peak).round_().unflatten(0, (network.outputs, 3)).permute(0, 2, 3, 1)
        return restored.cpu().numpy().astype(target.dtype)

    def _forward(self, x: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            return self.network(x.contiguous(memory_format=torch.channels_last))

    def _network_input(self, window: FrameWindow, peak: float) -> Tensor:
        """float32 [1, C, H, W] on the device: the window's frames, then each reference warped, with its validity."""
        target = self._tensor(window.target, peak)
        planes = self._window(window, target, peak)
        planes += self._references(window.target, target, window.references, peak)
        return torch.cat(planes)[None]

    def _window(self, window: FrameWindow, target: Tensor, peak: float) -> list[Tensor]:
        reach = self.network.frames // 2
        tensors = {0: target}
        for offset in sorted(window.neighbours, key=abs):
            if abs(offset) <= reach:
                tensors[offset] = self._tensor(window.neighbours[offset], peak)
        # Where the shot ends, the nearest frame that is there stands in.
        there = sorted(tensors)
        return [tensors[min(max(offset, there[0]), there[-1])] for offset in range(-reach, reach + 1)]

    def _references(
        self, frame: np.ndarray, target: Tensor, references: Sequence[np.ndarray], peak: float
    ) -> list[Tensor]:
        planes: list[Tensor] = []
        used = references[: self.network.references]
        luma = flow_luma(frame) if used else None
        for reference in used:
            assert luma is not None
            warped, valid = align(reference, frame, luma)
            planes += [self._tensor(warped, peak), self._tensor(valid[..., None], 1.0)]
        for _ in range(self.network.references - len(used)):
            planes += [target, torch.zeros_like(target[:1])]
        return planes

    def _tensor(self, image: np.ndarray, peak: float) -> Tensor:
        # Shipped as it is stored and widened there: a quarter of the bytes over the bus.
        if image.dtype == np.uint16:
            image = image.astype(np.float32)
        return torch.from_numpy(image).to(self.device).permute(2, 0, 1).float() / peak
