"""How many actors of each kind a cluster gets, from its cores, GPUs and memory. Pure arithmetic, no Ray call."""

from collections.abc import Mapping
from dataclasses import dataclass

_GIB = float(1 << 30)
_DEBLUR_GIB = 2.0
_MOST_CLASSIFIERS_PER_GPU = 4


@dataclass(frozen=True)
class PoolSize:
    """Actors of one pool, and what each reserves. `threads`: what its models and codecs may use."""

    count: int
    num_gpus: float
    num_cpus: float
    threads: int = 1

    @property
    def reserves(self) -> tuple[float, float]:
        """What an actor of this size keeps from others: GPUs and cores."""
        return self.num_gpus, self.num_cpus


@dataclass(frozen=True)
class PoolSpec:
    """A pool: the stages its actors host."""

    name: str
    stages: tuple[str, ...]


POOLS = (
    PoolSpec("classify", ("classify",)),
    PoolSpec("deblur", ("deblur",)),
    PoolSpec("media", ("plan", "assemble", "publish")),
)


def pool_sizes(resources: Mapping[str, float]) -> dict[str, PoolSize]:
    """Sizes for a cluster with these Ray resources ("CPU", "GPU", "memory" in bytes).

    Without a GPU, deblurring gets an actor a core, as far as memory goes, one thread each: separate frames scale
    better than threads within one. With one GPU classify and deblur share it; with more, one GPU is for classifiers
    and every other for one deblur actor. All reservations together fit into what there is, so no pool starves another.
    """
    cores = max(int(resources.get("CPU", 1)), 1)
    gpus = int(resources.get("GPU", 0))
    if not gpus:
        memory_gib = resources.get("memory", 4 * _GIB) / _GIB
        deblur = max(min(cores, int(memory_gib / _DEBLUR_GIB)), 1)
        return {
            "classify": PoolSize(max(cores // 4, 1), 0, 0.25),
            "deblur": PoolSize(deblur, 0, 0.5, max(cores // deblur, 1)),
            "media": PoolSize(max(cores // 2, 1), 0, 0.25),
        }
    media = PoolSize(max(cores - 1, 1), 0, 0.5)
    if gpus == 1:
        return {"classify": PoolSize(1, 0.25, 0), "deblur": PoolSize(1, 0.75, 0), "media": media}
    classifiers = min(_MOST_CLASSIFIERS_PER_GPU, gpus)
    return {
        "classify": PoolSize(classifiers, 1.0 / classifiers, 0),
        "deblur": PoolSize(gpus - 1, 1, 0),
        "media": media,
    }
