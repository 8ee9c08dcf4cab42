"""Which restorers give several moments of one exposure, and so can make slow motion. Loads networks, but no weights."""

from functools import cache

from deblur_core.errors import SettingsError
from deblur_core.models.registry import build_network, find_restorer, restorer_names


def restorer_giving(moments: int, named: str | None) -> str:
    """The restorer for slow motion of `moments` moments a frame: the one named, or the first that gives so many.

    Raises SettingsError, saying which restorer gives how many, if none does or the named one does not.
    """
    given = {name: _moments_of(name) for name in restorer_names()}
    if named is not None and given[named] == moments:
        return named
    able = [name for name, count in given.items() if count == moments]
    if named is None and able:
        return able[0]
    offer = ", ".join(f"{name} gives {count}" for name, count in given.items() if count > 1)
    who = "no restorer gives" if named is None or not able else f"the restorer {named!r} does not give"
    raise SettingsError(f"slow_motion = {moments}: {who} so many moments of a frame; {offer}, and 1 is off")


@cache
def _moments_of(name: str) -> int:
    """Moments of one exposure; a network that gives a frame for each of its window gives one of each."""
    import torch

    with torch.device("meta"):
        network = build_network(find_restorer(name))
    return 1 if network.outputs == network.frames else network.outputs
