"""Finding and restoring motion-blurred frames: models, video, storage, manifests. Knows no scheduler and no cluster.

The three names below are all that most callers need; they are resolved on first use, so importing this package costs
nothing (the driver of a run never loads torch).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deblur_core.models.registry import load_restorer, load_selector, restorer_names, selector_names

__all__ = ["load_restorer", "load_selector", "restorer_names", "selector_names"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from deblur_core.models import registry

        return getattr(registry, name)
    raise AttributeError(f"module 'deblur_core' has no attribute {name!r}")
