"""Whatever a cluster has, the pools fit into it together and none is left without an actor."""

import pytest

from workers.sizing import POOLS, PoolSize, pool_sizes

GIB = float(1 << 30)
CORES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def sizes(cores: int, gpus: int, memory_gib: float = 64.0) -> dict[str, PoolSize]:
    return pool_sizes({"CPU": float(cores), "GPU": float(gpus), "memory": memory_gib * GIB})


@pytest.mark.parametrize("gpus", range(9))
@pytest.mark.parametrize("cores", CORES)
def test_all_reservations_together_fit_into_the_cluster(cores: int, gpus: int) -> None:
    pools = sizes(cores, gpus).values()
    assert sum(pool.count * pool.num_cpus for pool in pools) <= cores
    assert sum(pool.count * pool.num_gpus for pool in pools) <= gpus + 1e-9


@pytest.mark.parametrize("gpus", range(9))
@pytest.mark.parametrize("cores", CORES)
def test_every_pool_has_an_actor_and_every_actor_a_thread(cores: int, gpus: int) -> None:
    pools = sizes(cores, gpus)
    assert set(pools) == {spec.name for spec in POOLS}
    assert all(pool.count >= 1 and pool.threads >= 1 for pool in pools.values())


@pytest.mark.parametrize("gpus", range(2, 9))
def test_a_deblur_actor_has_a_gpu_for_itself_where_there_are_several(gpus: int) -> None:
    pools = sizes(8, gpus)
    assert (pools["deblur"].count, pools["deblur"].num_gpus) == (gpus - 1, 1)
    assert pools["classify"].count * pools["classify"].num_gpus == pytest.approx(1.0)


def test_without_a_gpu_memory_bounds_the_deblur_actors_and_they_share_the_cores() -> None:
    deblur = sizes(16, 0, memory_gib=8.0)["deblur"]
    assert (deblur.count, deblur.threads) == (4, 4)


def test_a_machine_that_reports_nothing_still_gets_every_pool() -> None:
    assert all(pool.count == 1 for pool in pool_sizes({}).values())


def test_every_stage_belongs_to_exactly_one_pool() -> None:
    stages = sorted(stage for spec in POOLS for stage in spec.stages)
    assert stages == ["assemble", "classify", "deblur", "plan", "publish"]
