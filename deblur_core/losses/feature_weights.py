"""Weights of the networks that losses look through: files that a user brings, known by their hash.

Nothing is ever unpickled: the file is safetensors, and its SHA-256 is checked before a byte of it is parsed. FeatureNet
alone has released weights.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from deblur_core.errors import WeightsError
from deblur_core.losses.feature_net import FeatureNet
from deblur_core.models.weights_file import pinned_hash, verified_weights

Network = TypeVar("Network", bound=nn.Module)

_RELEASED = "feature-net.safetensors"


def released_features() -> FeatureNet:
    """FeatureNet with its released weights (`weights/feature-net.md`), frozen. Raises WeightsError when they are not
    the released ones."""
    path = verified_weights(_RELEASED)
    return load_features(FeatureNet(), path, pinned_hash(_RELEASED) or "")


def load_features(network: Network, weights: Path, sha256: str) -> Network:
    """Fills a feature network from a safetensors file and freezes it.

    sha256: hex digest that the file must have. Tensors that the network does not have (VGG19's classifier) are left
    out; half precision becomes single. Raises WeightsError when the file is missing, has another hash, is no
    safetensors file, or lacks what the network needs.
    """
    try:
        data = Path(weights).read_bytes()
    except OSError as cause:
        raise WeightsError(f"feature weights {weights} cannot be read ({cause.strerror}): check the path") from cause
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.strip().lower():
        raise WeightsError(
            f"the feature weights {weights} are not the ones asked for (SHA-256 {found[:12]}…, asked for "
            f"{sha256[:12]}…): bring that file, or its hash as sha256sum prints it"
        )
    name = type(network).__name__
    try:
        tensors = load(data)
    except SafetensorError as cause:
        raise WeightsError(
            f"the feature weights {weights} are no safetensors file ({cause}): convert them as the docstring of "
            f"{type(network).__module__} says"
        ) from cause
    wanted = network.state_dict()
    for key, value in wanted.items():
        if key not in tensors or tensors[key].shape != value.shape:
            there = list(tensors[key].shape) if key in tensors else "nothing"
            raise WeightsError(f"{weights} does not hold weights of {name}: {key} is {there}, not {list(value.shape)}")
    network.load_state_dict({key: tensors[key].float() for key in wanted})
    return network.requires_grad_(False).eval()
