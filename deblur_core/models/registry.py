"""Finds selectors and restorers by name and loads them with their released weights.

The one place that knows which names exist, and from which file each is loaded. Importing it loads no torch; building
a model does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from deblur_core.errors import SettingsError
from deblur_core.models.restorer import ContextNeeds
from deblur_core.models.weights_file import WEIGHTS_FOLDER, pinned_hash, verified_weights

if TYPE_CHECKING:
    from deblur_core.models.blur_selector import BlurSelector
    from deblur_core.models.network import RestorationNetwork
    from deblur_core.models.network_restorer import NetworkRestorer

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
    """billions of multiply-adds for a 256 × 256 frame, with its context"""
    options: Mapping[str, object] = field(default_factory=dict)
    """what the network is built with"""


@dataclass(frozen=True)
class SelectorEntry:
    """A selector that can be asked for."""

    name: str
    summary: str
    weights: str


RESTORERS = {
    entry.name: entry
    for entry in (
        RestorerEntry(
            "default",
            "half-resolution NAFNet that also sees the two nearest sharp frames of the shot, aligned by flow",
            "default.safetensors",
            "neighbour_nafnet:NeighbourNAFNet",
            ContextNeeds(sharp_references=2),
            1_976_108,
            1.93,
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


def load_restorer(name: str = "default", device: str = "auto") -> "NetworkRestorer":
    """Builds a restorer with its released weights on `device` ('auto', 'cpu', 'cuda').

    Raises SettingsError for an unknown name or device, WeightsError when the weights are not the released ones.
    """
    from deblur_core.models.network_restorer import NetworkRestorer, fill_network
    from deblur_core.models.precision import pick_device

    entry = find_restorer(name)
    path = verified_weights(entry.weights)
    network = build_network(entry)
    fill_network(network, path)
    return NetworkRestorer(entry.name, network, released_hash(entry.weights), pick_device(device))


def load_selector(name: str = "default") -> "BlurSelector":
    """Builds a selector with its released weights. Raises SettingsError for an unknown name, WeightsError."""
    from deblur_core.models.blur_selector import BlurSelector

    return BlurSelector.load(verified_weights(find_selector(name).weights))


@lru_cache(maxsize=8)
def check_weights(restorer: str, selector: str) -> None:
    """Proves, without building a model, that both names exist and their weights are the released ones."""
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
