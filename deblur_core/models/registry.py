"""Finds selectors and restorers by name and loads them with their released weights.

The one place that knows which names exist, and from which file each is loaded. Importing it loads no torch; building
a model does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from deblur_core.errors import SettingsError, WeightsError
from deblur_core.models.restorer import ContextNeeds
from deblur_core.models.weights_file import WEIGHTS_FOLDER, own_weights_hash, pinned_hash, verified_weights

if TYPE_CHECKING:
    from deblur_core.models.network import RestorationNetwork
    from deblur_core.models.network_restorer import NetworkRestorer
    from deblur_core.models.selector import Selector

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class RestorerEntry:
    """A restorer that can be asked for: what it is, what it looks at, which file holds its weights."""

    name: str
    summary: str
    weights: str
    network: str
    """where its class stands, `module:class` under deblur_core.models, so that naming it loads no torch"""
    needs: ContextNeeds
    parameters: int
    gmac_256: float
    """billions of multiply-adds for a 256 × 256 frame, with its context and in all its passes"""
    options: Mapping[str, object] = field(default_factory=dict)
    """what the network is built with"""
    teacher: str | None = "default"
    """the restorer that it learns from when it is adapted to an archive"""


@dataclass(frozen=True)
class SelectorEntry:
    """A selector that can be asked for."""

    name: str
    summary: str
    weights: str
    kind: str
    """where its class stands, `module:class` under deblur_core.models, so that naming it loads no torch"""


RESTORERS = {
    entry.name: entry
    for entry in (
        RestorerEntry(
            "default",
            "half-resolution NAFNet that also sees the two nearest sharp frames of the shot, aligned; three passes",
            "default.safetensors",
            "neighbour_nafnet:NeighbourNAFNet",
            ContextNeeds(sharp_references=2),
            1_976_108,
            5.78,
            teacher="default-large",
        ),
        RestorerEntry(
            "default-fast",
            "the default's kin for CPUs: quarter resolution, one pass",
            "default-fast.safetensors",
            "neighbour_nafnet:NeighbourNAFNet",
            ContextNeeds(sharp_references=2),
            2_880_480,
            0.98,
            {"width": 48, "encoder": (1, 1, 2), "unshuffle": 4, "passes": 1},
        ),
        RestorerEntry(
            "default-large",
            "the default's network and weights, the mean of four flips of the picture: for GPUs",
            "default.safetensors",
            "neighbour_nafnet:NeighbourNAFNet",
            ContextNeeds(sharp_references=2),
            1_976_108,
            23.11,
            {"flips": ((), (2,), (3,), (2, 3))},
            teacher=None,
        ),
        RestorerEntry(
            "deblurnet",
            "DeblurNet's generator (Nahli et al. 2021): one frame",
            "deblurnet.safetensors",
            "deblurnet:DeblurNetGenerator",
            ContextNeeds(),
            1_146_867,
            18.81,
        ),
        RestorerEntry(
            "gradientnet",
            "structure-guided U-Net (Qi 2022): one frame and its gradients",
            "gradientnet.safetensors",
            "gradientnet:GradientGuidedUNet",
            ContextNeeds(),
            1_880_617,
            16.06,
        ),
        RestorerEntry(
            "st-variant-rnn",
            "spatially and temporally variant RNN (Jiang et al. 2019): five frames in, five out",
            "st-variant-rnn.safetensors",
            "st_variant_rnn:STVariantRNN",
            ContextNeeds(frames_before=2, frames_after=2),
            11_585_537,
            53.74,
        ),
        RestorerEntry(
            "contiguous",
            "seven sharp frames out of one blurred frame (Niu et al. 2021), at half resolution",
            "contiguous.safetensors",
            "contiguous:SequenceResNet",
            ContextNeeds(),
            1_902_564,
            31.13,
            {"unshuffle": 2},
            teacher=None,
        ),
        RestorerEntry(
            "dvd",
            "DBN of Deep Video Deblurring (Su et al. 2017): five frames stacked",
            "dvd.safetensors",
            "dvd:DeepVideoDeblurring",
            ContextNeeds(frames_before=2, frames_after=2),
            11_719_110,
            30.52,
        ),
        RestorerEntry(
            "deblurgan",
            "DeblurGAN's generator (Kupyn et al. 2018): one frame",
            "deblurgan.safetensors",
            "deblurgan:DeblurGANGenerator",
            ContextNeeds(),
            11_372_931,
            49.55,
        ),
    )
}
SELECTORS = {
    entry.name: entry
    for entry in (
        SelectorEntry(
            "default",
            "sharpness of luma tiles, judged against the frames around by a small net",
            "selector.safetensors",
            "blur_selector:BlurSelector",
        ),
        SelectorEntry(
            "deblurnet",
            "DeblurNet's frame selection network (Nahli et al. 2021): each frame alone, in windows",
            "deblurnet-selector.safetensors",
            "deblurnet_selector:DeblurNetSelector",
        ),
    )
}


def restorer_names() -> list[str]:
    """The names that `load_restorer` and `--restorer` know."""
    return list(RESTORERS)


def selector_names() -> list[str]:
    """The names that `load_selector` and `--selector` know."""
    return list(SELECTORS)


def find_restorer(name: str) -> RestorerEntry:
    """The entry of this name. Raises SettingsError naming those that exist."""
    return _find(RESTORERS, "restorer", name)


def find_selector(name: str) -> SelectorEntry:
    """The entry of this name. Raises SettingsError naming those that exist."""
    return _find(SELECTORS, "selector", name)


def released_hash(weights: str) -> str:
    """SHA-256 (hex) that the weights of an entry have when they are the released ones; reads only the list."""
    return pinned_hash(weights) or ""


def build_network(entry: RestorerEntry) -> "RestorationNetwork":
    """The network of an entry with fresh weights."""
    module, _, name = entry.network.partition(":")
    network: RestorationNetwork = getattr(import_module(f"deblur_core.models.{module}"), name)(**entry.options)
    return network


def load_restorer(
    name: str = "default", device: str = "auto", weights: str | Path | None = None, weights_sha256: str | None = None
) -> "NetworkRestorer":
    """Builds a restorer on `device` ('auto', 'cpu', 'cuda') with its released weights, or with `weights`, a safetensors
    file of the user's own (what `train` and `adapt` write), which must have the hash `weights_sha256` if one is given.

    Raises SettingsError for an unknown name or device; WeightsError when the weights are not the released ones, cannot
    be read, have another hash or belong to another architecture.
    """
    from deblur_core.models.network_restorer import NetworkRestorer, fill_network
    from deblur_core.models.precision import pick_device

    entry = find_restorer(name)
    path = Path(weights) if weights else verified_weights(entry.weights)
    found = own_weights_hash(path) if weights else released_hash(entry.weights)
    if weights_sha256 and found != weights_sha256:
        raise WeightsError(
            f"the weights {path} are not those that this run began with (SHA-256 {found[:12]}…, then "
            f"{weights_sha256[:12]}…): every machine must see the same file, and it must not change meanwhile"
        )
    network = build_network(entry)
    fill_network(network, path)
    return NetworkRestorer(entry.name, network, found, pick_device(device))


def load_selector(name: str = "default", device: str = "auto") -> "Selector":
    """Builds a selector with its released weights on `device` ('auto', 'cpu', 'cuda'); `default` needs none.

    Raises SettingsError for an unknown name or device, WeightsError.
    """
    entry = find_selector(name)
    module, _, kind = entry.kind.partition(":")
    loaded: Selector = getattr(import_module(f"deblur_core.models.{module}"), kind).load(
        verified_weights(entry.weights), entry.name, device
    )
    return loaded


@lru_cache(maxsize=8)
def check_weights(restorer: str, selector: str, weights: str | None = None) -> None:
    """Proves that both names exist, and that their weights are the released ones; no model is built for that. A user's
    own weights are proved to fit the restorer's architecture."""
    if weights:
        load_restorer(restorer, "cpu", weights)
    else:
        verified_weights(find_restorer(restorer).weights)
    verified_weights(find_selector(selector).weights)


def weights_bytes(weights: str) -> int:
    """Size of a released weights file, bytes."""
    return (WEIGHTS_FOLDER / weights).stat().st_size


def _find(entries: dict[str, Entry], kind: str, name: str) -> Entry:
    try:
        return entries[name]
    except KeyError:
        raise SettingsError(f"unknown {kind} {name!r}: there is {', '.join(entries)}") from None
