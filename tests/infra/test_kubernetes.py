"""The Kubernetes manifests: what pods may do, what they cost, and that they fit the program and each other."""

import shlex

import pytest

from tests.infra.manifests import CLUSTERS, WORKER, containers, documents, pinned_version, pods, ray_cluster
from workers.sizing import pool_sizes

LARGEST_ACTOR_GIB = 1.8


@pytest.mark.parametrize("name", CLUSTERS)
def test_kuberay_is_told_the_ray_version_that_is_installed(name: str) -> None:
    assert ray_cluster(name)["rayVersion"] == pinned_version("ray")


@pytest.mark.parametrize("name", CLUSTERS)
def test_ray_wants_its_token_and_stays_inside_the_cluster(name: str) -> None:
    spec = ray_cluster(name)
    assert spec["authOptions"] == {"mode": "token", "secretName": "ray-auth"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert spec["headGroupSpec"]["enableIngress"] is False


@pytest.mark.parametrize("name", [*CLUSTERS, WORKER])
def test_pods_run_as_a_plain_user_and_containers_are_locked(name: str) -> None:
    assert containers(name)
    for pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    autoscaler = ray_cluster(name).get("autoscalerOptions")
    for container in [*containers(name), *([autoscaler] if autoscaler else [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", [*CLUSTERS, WORKER])
def test_what_is_written_lies_on_volumes_of_bounded_size(name: str) -> None:
    for pod in pods(name):
        bounded = {volume["name"] for volume in pod["volumes"] if volume["emptyDir"].get("sizeLimit")}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert {"/tmp", "/tmp/ray", "/home/restore"} <= mounts.keys()
            assert set(mounts.values()) <= bounded


@pytest.mark.parametrize("name", [*CLUSTERS, WORKER])
def test_a_container_without_a_gpu_of_its_own_sees_none(name: str) -> None:
    for container in containers(name):
        values = {variable["name"]: variable.get("value") for variable in container["env"]}
        wants_one = "nvidia.com/gpu" in container["resources"]["limits"]
        assert values.get("NVIDIA_VISIBLE_DEVICES") == (None if wants_one else "void")


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_actor_lands_on_the_head_and_every_cluster_has_a_gpu(name: str) -> None:
    spec = ray_cluster(name)
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    gpu_groups = [group for group in spec["workerGroupSpecs"] if group["groupName"] == "gpu"]
    assert [group["minReplicas"] >= 1 for group in gpu_groups] == [True]
    assert all(g["minReplicas"] <= g["replicas"] <= g["maxReplicas"] for g in spec["workerGroupSpecs"])


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_actors_that_ray_can_place_on_a_worker_fit_its_memory(name: str) -> None:
    groups = ray_cluster(name)["workerGroupSpecs"]
    sizes = pool_sizes({"CPU": 64, "GPU": 8})
    for group in groups:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        cores = float(group["rayStartParams"].get("num-cpus") or limits["cpu"])
        actors = cores / sizes["media"].num_cpus
        if "nvidia.com/gpu" in limits:
            actors += 1 / sizes["classify"].num_gpus + 1 / sizes["deblur"].num_gpus
        object_store_gib = int(group["rayStartParams"]["object-store-memory"]) / 2**30
        assert actors * LARGEST_ACTOR_GIB + object_store_gib <= int(limits["memory"].removesuffix("Gi"))


def test_the_ray_job_runs_the_command_line_on_its_cluster() -> None:
    from typer.main import get_command

    from flows.command_line import app

    words = shlex.split(documents("kuberay/rayjob.yaml")[0]["spec"]["entrypoint"])
    assert words[:2] == ["restore-archive", "run"]
    assert [word.startswith("s3://") for word in words[2:4]] == [True, True]
    assert words[4:] == ["--ray-address", "auto", "--json"]
    run = get_command(app).commands["run"]  # type: ignore[attr-defined]
    options = {option for parameter in run.params for option in parameter.opts}
    assert {"--ray-address", "--json"} <= options


def test_the_prefect_worker_joins_ray_as_a_node_that_takes_no_actor() -> None:
    container = containers(WORKER)[-1]
    script = container["args"][0]
    assert "--num-cpus=0" in script and "--num-gpus=0" in script
    values = {variable["name"]: variable for variable in container["env"]}
    assert values["RAY_AUTH_MODE"]["value"] == "token"
    cluster = documents("kuberay/raycluster.yaml")[0]
    assert values["RAY_HEAD"]["value"] == f"{cluster['metadata']['name']}-head-svc:6379"
    secret = values["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": cluster["spec"]["authOptions"]["secretName"], "key": "auth_token"}
    assert "secretKeyRef" in values["PREFECT_API_AUTH_STRING"]["valueFrom"]


def test_the_worker_sets_only_settings_that_the_program_has() -> None:
    from flows.settings import PREFIX, Settings

    for name in [*CLUSTERS, WORKER]:
        for container in containers(name):
            given = {v["name"] for v in container["env"] if v["name"].startswith(PREFIX)}
            assert given <= {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    assert "RESTORE_RAY_ADDRESS" in {v["name"] for v in containers(WORKER)[-1]["env"]}
