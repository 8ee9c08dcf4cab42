"""The image, the launcher, the work pool and the alerts, as far as pinned versions and installed tools can judge them.

Knows no cluster: whether Docker, Kubernetes or Amazon agrees with these files, no test here can say.
"""

import ast
import json
import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.infra.manifests import (
    CLUSTERS,
    INFRA,
    LAUNCHER,
    ROOT,
    WORKER,
    containers,
    documents,
    pinned_version,
    ray_cluster,
)


@pytest.mark.parametrize("path", sorted(p for p in INFRA.rglob("*") if p.suffix in (".yaml", ".json")), ids=str)
def test_every_file_parses_to_something(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text())) if path.suffix == ".yaml" else [json.loads(path.read_text())]
    assert documents and all(isinstance(document, dict) for document in documents)


def test_the_readme_names_every_file() -> None:
    readme = (INFRA / "README.md").read_text()
    names = [str(p.relative_to(INFRA)) for p in INFRA.rglob("*") if p.is_file() and p.name != "README.md"]
    assert [name for name in names if f"`{name}`" not in readme] == []


def test_the_licence_is_apache_2_with_its_appendix() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert len(text.splitlines()) == 202
    assert "Version 2.0, January 2004" in text and "APPENDIX: How to apply the Apache License" in text


@pytest.mark.parametrize("name", [*CLUSTERS, WORKER, LAUNCHER, "README.md", "Dockerfile"])
def test_one_image_tag_says_the_versions_of_program_and_ray(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    tags = re.findall(r"registry\.example\.com/restore-archive:([\w.-]+)", (INFRA / name).read_text())
    assert tags and set(tags) == {f"{version}-ray{pinned_version('ray')}"}


def test_the_launcher_file_passes_rays_own_validation() -> None:
    from jsonschema import ValidationError  # type: ignore[import-untyped]
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = documents(LAUNCHER)[0]
    validate_config(prepare_config(config))
    with pytest.raises(ValidationError):
        validate_config(prepare_config({**config, "auth": {"ssh_usr": "ubuntu"}}))


def test_the_launcher_keeps_nodes_private_and_gives_them_a_profile() -> None:
    config = documents(LAUNCHER)[0]
    assert config["provider"]["use_internal_ips"] is True
    options = {option.partition(" #")[0] for option in config["docker"]["run_options"]}
    assert {"--env RAY_AUTH_MODE=token", "--read-only", "--cap-drop ALL"} <= options
    assert any("--dashboard-host=127.0.0.1" in command for command in config["head_start_ray_commands"])
    for node in config["available_node_types"].values():
        assert node["node_config"]["IamInstanceProfile"]["Name"].startswith("restore-archive-")
        assert node["node_config"]["MetadataOptions"]["HttpTokens"] == "required"


def test_ray_start_is_given_only_options_that_it_has() -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in (*parameter.opts, *parameter.secondary_opts)}
    launcher = documents(LAUNCHER)[0]
    commands = [*launcher["head_start_ray_commands"], *launcher["worker_start_ray_commands"]]
    commands += [containers(WORKER)[-1]["args"][0].split("exec ")[0].replace("\\\n", " ")]
    given = {flag for command in commands if "ray start" in command for flag in re.findall(r"--[a-z-]+", command)}
    for name in CLUSTERS:
        groups = [ray_cluster(name)["headGroupSpec"], *ray_cluster(name)["workerGroupSpecs"]]
        given |= {f"--{parameter}" for group in groups for parameter in group["rayStartParams"]}
    assert len(given) > 5 and given <= known


def test_the_image_runs_as_a_plain_user_from_a_pinned_base() -> None:
    instructions = _instructions()
    bases = [argument.split()[0] for name, argument in instructions if name == "FROM" and "/" in argument]
    assert bases and all(re.search(r":\d+\.\d+\.\d+-", base) for base in bases)
    assert [argument for name, argument in instructions if name == "USER"] == ["1000:1000"]
    written = [json.loads(argument) for name, argument in instructions if name == "VOLUME"]
    assert written == [["/home/restore", "/tmp"]]


def test_the_image_takes_nothing_from_the_network_but_packages_and_holds_no_secret() -> None:
    text = (INFRA / "Dockerfile").read_text()
    assert not [argument for name, argument in _instructions() if name == "ADD"]
    assert not re.search(r"\b(curl|wget)\b|https?://", text)
    assert not re.search(r"(?i)(secret|password|token|api_key)\s*[=:]", text)


def test_a_change_of_code_does_not_reinstall_the_dependencies() -> None:
    instructions = _instructions()
    install = next(
        i for i, (name, argument) in enumerate(instructions) if "--requirement" in argument and name == "RUN"
    )
    copied = [argument for name, argument in instructions[:install] if name == "COPY"]
    assert copied == ["pyproject.toml constraints.txt ./", "--from=requirements /requirements /requirements"]
    assert "--constraint" in instructions[install][1]


def test_the_image_can_decode_on_the_gpu_and_reports_to_nobody() -> None:
    environment = dict(re.findall(r"(\w+)=(\S+)", next(a for name, a in _instructions() if name == "ENV")))
    assert set(environment["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "utility", "video"}
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert (environment["DO_NOT_TRACK"], environment["RAY_USAGE_STATS_ENABLED"]) == ("1", "0")


def test_workers_of_the_image_give_back_what_they_freed() -> None:
    environment = dict(re.findall(r"(\w+)=(\S+)", next(a for name, a in _instructions() if name == "ENV")))
    assert environment["MALLOC_ARENA_MAX"] == "1"


def test_the_build_context_holds_what_the_package_is_built_from() -> None:
    lines = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert "*" in lines
    assert packages | {project["project"]["readme"], "LICENSE", "pyproject.toml", "constraints.txt"} <= allowed


@pytest.mark.parametrize("file", ["prefect/create-work-pool.sh", WORKER])
def test_prefect_is_given_only_commands_and_options_that_it_has(file: str) -> None:
    text = (INFRA / file).read_text().replace("\\\n", " ")
    commands = re.findall(
        r"^\s*(?:exec )?prefect (?:--no-prompt )?(work-pool|worker) ([a-z-]+)(.*)$", text, re.MULTILINE
    )
    assert commands
    for group, command, rest in commands:
        options = _options(f"{group.replace('-', '_')}.py").get(command)
        assert options is not None, f"prefect {group} has no {command}"
        assert set(re.findall(r"--[a-z-]+", rest)) <= options


def test_all_places_speak_of_one_work_pool() -> None:
    pools = set(re.findall(r"--pool (\S+)", (INFRA / WORKER).read_text()))
    pools |= set(re.findall(r"work-pool create (\S+)", (INFRA / "prefect/create-work-pool.sh").read_text()))
    assert pools == {"restore-archive"}


def test_alerts_rest_on_metrics_that_ray_or_kuberay_exports() -> None:
    agent = "dashboard/modules/reporter/reporter_agent.py"
    panels = "dashboard/modules/metrics/dashboards/default_dashboard_panels.py"
    rules = [rule for group in documents("monitoring/alerts.yaml")[0]["groups"] for rule in group["rules"]]
    used = {name for rule in rules for name in re.findall(r"\b((?:ray|kuberay)_\w+)\{?", rule["expr"])}
    of_kuberay = {"kuberay_job_deployment_status"}
    assert len(used) >= 3
    for name in used - of_kuberay:
        assert f'"{name.removeprefix("ray_")}"' in _ray_source(agent) or f"{name}{{" in _ray_source(panels), name


def test_workers_die_alert_knows_the_actors_name() -> None:
    from workers.actors import StageActor

    name = StageActor.__ray_metadata__.class_name  # type: ignore[attr-defined]
    assert name in (INFRA / "monitoring/alerts.yaml").read_text()


def _instructions() -> list[tuple[str, str]]:
    text = (INFRA / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(line.split()[0].upper(), line.split(maxsplit=1)[1]) for line in logical]


@cache
def _ray_source(name: str) -> str:
    return files("ray").joinpath(name).read_text()


@cache
def _options(file: str) -> dict[str, set[str]]:
    """The options of each command in one of Prefect's command line files, read without running it."""
    commands: dict[str, set[str]] = {}
    source = files("prefect").joinpath("cli", file).read_text()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        names = {
            keyword.value.value
            for decorator in node.decorator_list
            if isinstance(decorator, ast.Call)
            for keyword in decorator.keywords
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
        }
        arguments = [a.arg.replace("_", "-") for a in (*node.args.args, *node.args.kwonlyargs)]
        named = {c.value for c in ast.walk(node.args) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
        options = {f"--{argument}" for argument in arguments} | {f"--no-{argument}" for argument in arguments} | named
        for command in names or {node.name.replace("_", "-")}:
            commands[str(command)] = options
    return commands
