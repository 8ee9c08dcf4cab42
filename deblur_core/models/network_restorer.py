"""Runs any restoration network on frames as they are stored: the restorer behind every name of the registry.

Knows how to turn a window of frames into a network's input and back, on CPU or GPU; the networks are next door.
"""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from deblur_core.alignment import align
from deblur_core.errors import WeightsError
from deblur_core.models.even_areas import keep_even_areas
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.pooling import pool_locally
from deblur_core.models.precision import inference_dtype
from deblur_core.models.restorer import FrameWindow, Restorer
from deblur_core.models.tiling import TileSize, run_tiled

_STAND_IN_BYTES = 96 << 20
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
        self.tile_size = TileSize(most_tile_pixels)
        self._stand_ins: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
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
        around = (*window.references, *window.stand_ins, *window.neighbours.values())
        if any(frame.shape != target.shape or frame.dtype != target.dtype for frame in around):
            raise ValueError("restore_frame: the frames around the target are not of its size and dtype")
        first = self.run_pass(window)
        guided = self.guided_window(window)
        if guided is None:
            return first
        # Without references of its own the first pass is only a guide.
        restored, guide = [first] if window.references else [], first
        for _ in range(self.network.passes - 1):
            # Flow between two sharp pictures finds what flow between a blurred and a sharp one missed.
            guide = self.run_pass(guided, guide[self.network.outputs // 2])
            restored.append(guide)
        # Each pass errs elsewhere, as its flow does.
        return _mean(restored)

    @torch.inference_mode()
    def guided_window(self, window: FrameWindow) -> FrameWindow | None:
        """What passes after the first see: stand-ins come restored, as references. None where there is but one pass."""
        if self.network.passes == 1 or not self.network.references:
            return None
        references = window.references or [self._stand_in(each) for each in window.stand_ins]
        return replace(window, references=references, stand_ins=()) if references else None

    @torch.inference_mode()
    def run_pass(self, window: FrameWindow, guide: np.ndarray | None = None) -> np.ndarray:
        """One pass of the network, shaped as by `restore_moments`; guide: see `stack_planes`."""
        network, dtype = self.network, window.target.dtype
        height, width = window.target.shape[:2]
        peak = float(np.iinfo(dtype).max)
        x = stack_window(window, network.frames, network.references, self.device, guide, network.size_multiple)
        y = torch.stack([self._run_turned(x, axes) for axes in network.flips]).mean(0)[0]
        y = keep_even_areas(self._recorded(x), y.unflatten(0, (network.outputs, 3)))[..., :height, :width]
        restored = y.clamp(0.0, 1.0).mul_(peak).round_().permute(0, 2, 3, 1)
        return restored.cpu().numpy().astype(dtype)

    def _recorded(self, x: Tensor) -> Tensor:
        """What the input shows of each output's time: [1, C, H, W] → [`outputs`, 3, H, W]."""
        network = self.network
        frames = x[0, : 3 * network.frames].unflatten(0, (network.frames, 3))
        if network.outputs == network.frames:
            return frames
        return frames[network.frames // 2].expand(network.outputs, -1, -1, -1)

    def _stand_in(self, frame: np.ndarray) -> np.ndarray:
        """A blurred frame restored alone; kept, since the sharpest of a stretch stands in for many."""
        if id(frame) not in self._stand_ins:
            alone = self.run_pass(FrameWindow(frame))[self.network.outputs // 2]
            # With the frame itself, so that no other array takes its identity.
            self._stand_ins[id(frame)] = (frame, alone)
            while len(self._stand_ins) > max(_STAND_IN_BYTES // (2 * frame.nbytes), self.network.references):
                self._stand_ins.popitem(last=False)
        self._stand_ins.move_to_end(id(frame))
        return self._stand_ins[id(frame)][1]

    def _run_turned(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        network = self.network
        turned = x.flip(axes) if axes else x
        y = run_tiled(self._forward, turned, network.size_multiple, self.tile_size, network.tile_overlap)
        return y.flip(axes) if axes else y

    def _forward(self, x: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            return self.network(x.contiguous(memory_format=torch.channels_last)).float()


def _mean(restored: list[np.ndarray]) -> np.ndarray:
    out: np.ndarray = np.rint(np.mean(restored, axis=0, dtype=np.float32)).astype(restored[0].dtype)
    return out


def stack_planes(window: FrameWindow, frames: int, references: int, guide: np.ndarray | None = None) -> np.ndarray:
    """What a network of `frames` and `references` sees of a window: [H, W, 3 × frames + 4 × references], its dtype.

    In the order that RestorationNetwork states: the window's frames, then each reference warped onto the target, with
    its validity, 0 or the dtype's highest value. References beyond those asked for are ignored. guide: see `align`.
    """
    peak = np.iinfo(window.target.dtype).max
    image: np.ndarray = cv2.merge(_frames(window, frames // 2) + _references(window, guide, references, peak))
    return image


def stack_window(
    window: FrameWindow,
    frames: int,
    references: int,
    device: torch.device,
    guide: np.ndarray | None = None,
    multiple: int = 1,
) -> Tensor:
    """`stack_planes` as a network takes it: float32 [1, C, H, W] in [0, 1], on `device`, channels last in memory.

    multiple: the border's pixels are repeated on the right and below until both sides are multiples of this.
    """
    height, width = window.target.shape[:2]
    image = stack_planes(window, frames, references, guide)
    if height % multiple or width % multiple:
        image = np.pad(image, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")
    # Bytes are shipped as bytes and widened there: a quarter over the bus.
    stored = torch.from_numpy(image if image.dtype == np.uint8 else image.astype(np.float32))
    peak = np.iinfo(window.target.dtype).max
    return stored.to(device).permute(2, 0, 1)[None].float().div_(peak)


def _frames(window: FrameWindow, reach: int) -> list[np.ndarray]:
    images = {0: window.target} | {offset: image for offset, image in window.neighbours.items() if abs(offset) <= reach}
    # Where the shot ends, the nearest frame that is there stands in.
    first, last = min(images), max(images)
    return [images[min(max(offset, first), last)] for offset in range(-reach, reach + 1)]


def _references(window: FrameWindow, guide: np.ndarray | None, count: int, peak: int) -> list[np.ndarray]:
    planes: list[np.ndarray] = []
    used = window.references[:count]
    for warped, inside in align(used, window.target, guide):
        planes += [warped, inside * warped.dtype.type(peak)]
    for _ in range(count - len(used)):
        planes += [window.target, np.zeros_like(window.target[..., 0])]
    return planes
