"""DeblurNet's frame selection network as a selector: each frame alone, seen through windows of its luma.

The network (`DeblurNetSelectorNetwork`, Table 3) is the paper's; the windows are not. The paper shows it whole frames,
which shrinking would make look sharp and which cost too much to train on. So a frame is reduced until its shorter side
is at most 480 px, and 3 × 4 windows of 128² are cut on an even grid (4 × 3 of an upright frame, fewer of a small one).
The network gives each a logit; a logistic of their mean and their maximum gives the frame's. Colour is left out: a
classifying process decodes luma alone.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from deblur_core.errors import WeightsError
from deblur_core.models.deblurnet import DeblurNetSelectorNetwork
from deblur_core.models.precision import inference_dtype, pick_device
from deblur_core.models.selector import Selector

SHORTER_SIDE, WINDOW = 480, 128
LEAST_TEXTURE = 2.0
"""RMS contrast, 8-bit grey levels, below which a window has nothing to say if another one has."""

_FEWER, _MORE = 3, 4
_HIGH_PASSES = ((1.0, 5.0), (2.5, 2.5))
_LEAST_CONTRAST = 1.0
_FRAME_WEIGHT, _FRAME_BIAS = "frame.weight", "frame.bias"


def seen_plane(luma: np.ndarray, bits: int | None = None) -> np.ndarray:
    """uint8 or uint16 [H, W] → float32 [h, w] in 8-bit grey levels, as the windows are cut from it.

    The shorter side is at most 480 px; sides under 64 px are repeated to 64. Raises ValueError for other shapes.
    """
    if luma.ndim != 2 or luma.dtype not in (np.uint8, np.uint16) or luma.size == 0:
        raise ValueError(f"seen_plane: wants uint8 or uint16 [H, W], not {luma.dtype} {luma.shape}")
    scale = min(1.0, SHORTER_SIDE / min(luma.shape))
    height, width = (max(round(side * scale), 1) for side in luma.shape)
    if scale < 1.0:
        luma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    least = DeblurNetSelectorNetwork.shortest_side
    more = max(least - height, 0), max(least - width, 0)
    if any(more):
        luma = cv2.copyMakeBorder(luma, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)
    return luma.astype(np.float32) * np.float32(1.0 / (1 << ((bits or luma.dtype.itemsize * 8) - 8)))


def cut_windows(plane: np.ndarray) -> np.ndarray:
    """float32 [h, w] → [N, side, side']: up to 3 × 4 windows of 128², evenly spread; sides under 128 px are whole."""
    rows, columns = (_FEWER, _MORE) if plane.shape[0] <= plane.shape[1] else (_MORE, _FEWER)
    tops, lefts = _starts(plane.shape[0], rows), _starts(plane.shape[1], columns)
    return np.stack([plane[top : top + WINDOW, left : left + WINDOW] for top in tops for left in lefts])


def _starts(length: int, most: int) -> list[int]:
    count = min(most, max(-(-length // WINDOW), 1))
    return [round(place) for place in np.linspace(0, max(length - WINDOW, 0), count)]


def frame_values(logits: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Logits [N] of windows [N, h, w] → float32 [1, 3]: mean and maximum over those with texture, most contrast."""
    contrast = windows.std(axis=(1, 2))
    telling = contrast >= LEAST_TEXTURE
    chosen = logits[telling] if telling.any() else logits
    return np.array([[chosen.mean(), chosen.max(), contrast.max()]], np.float32)


def as_input(windows: np.ndarray) -> torch.Tensor:
    """float32 [N, h, w] in 8-bit grey levels → what the network takes, float32 [N, 3, h, w]: each window scaled to mean
    0 and deviation 1, then what Gaussians of 1 and 2.5 px take from it, raised to about the same size.

    The paper gives RGB in [0, 1]; luma so prepared taught the network in minutes what the plain one did not begin to.
    """
    shown = np.empty((len(windows), 3, *windows.shape[1:]), np.float32)
    for window, channels in zip(windows, shown, strict=True):
        channels[0] = (window - window.mean()) / max(float(window.std()), LEAST_TEXTURE)
        for channel, (sigma, gain) in zip(channels[1:], _HIGH_PASSES, strict=True):
            channel[:] = (channels[0] - cv2.GaussianBlur(channels[0], (0, 0), sigma)) * np.float32(gain)
    return torch.from_numpy(shown)


class DeblurNetSelector(Selector):
    """Judges each frame by itself: what stands around it does not count, so it needs no context and uses none."""

    def __init__(
        self, network: DeblurNetSelectorNetwork, weight: np.ndarray, bias: float, weights_sha256: str,
        name: str = "deblurnet", device: torch.device | None = None,
    ) -> None:  # fmt: skip
        """weight: float32 [2], of the mean and the maximum of the windows' logits."""
        super().__init__(name, weights_sha256)
        self._device = device or torch.device("cpu")
        self._dtype = inference_dtype(self._device)
        self._network = network.to(self._device).eval()
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._weight, self._bias = weight, bias

    @staticmethod
    def new_network() -> DeblurNetSelectorNetwork:
        """The network with fresh weights. Normalised over the batch (Table 3), not over each map (the paper's text): so
        it learnt in minutes, where the other had not begun to."""
        return DeblurNetSelectorNetwork(batch_norm=True)

    @classmethod
    def load(cls, path: Path, name: str = "deblurnet", device: str = "auto") -> "DeblurNetSelector":
        """Reads a safetensors file. Raises WeightsError when it is missing or is not of this architecture, and
        SettingsError for a device that is not there."""
        try:
            data = Path(path).read_bytes()
            tensors = {key: value.float() for key, value in load(data).items()}
            weight, bias = tensors.pop(_FRAME_WEIGHT), tensors.pop(_FRAME_BIAS)
            network = cls.new_network()
            network.load_state_dict(tensors)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"selector weights {path} cannot be read: {error}; install the package again") from error
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"selector weights {path} belong to another architecture than DeblurNet's") from error
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(network, weight.numpy(), float(bias), sha256, name, pick_device(device))

    def frame_features(self, luma: np.ndarray, bits: int | None = None) -> np.ndarray:
        """uint8 or uint16 [H, W] (`bits` of each sample used) → float32 [1, 3], see `frame_values`."""
        windows = cut_windows(seen_plane(luma, bits))
        return frame_values(self._logits(windows), windows)

    def probabilities(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """`frame_features` of frames, [T, 1, 3] → float32 [T] in [0, 1]. Raises ValueError for other shapes."""
        if not len(features):
            return np.zeros(0, np.float32)
        values = np.asarray(features, np.float32)
        if values.ndim != 3 or values.shape[1:] != (1, 3):
            raise ValueError(f"probabilities: wants [T, 1, 3], not {list(values.shape)}")
        logits = np.clip(values[:, 0, :2] @ self._weight + np.float32(self._bias), -60.0, 60.0)
        blurred = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
        return np.where(values[:, 0, 2] > _LEAST_CONTRAST, blurred, np.float32(0.0))

    @torch.inference_mode()
    def _logits(self, windows: np.ndarray) -> np.ndarray:
        """[N, h, w] → float32 [N]."""
        inputs = as_input(windows).to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            sharp, blurred = self._network(inputs).float().unbind(dim=1)
        logits: np.ndarray = (blurred - sharp).cpu().numpy()
        return logits
