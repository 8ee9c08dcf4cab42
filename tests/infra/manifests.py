"""Reads the files of `infra/` for the tests beside it. Knows their layout, judges nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
CLUSTERS = ["kuberay/raycluster.yaml", "kuberay/rayjob.yaml"]
WORKER = "prefect/worker.yaml"
LAUNCHER = "ray-cluster-launcher.yaml"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((INFRA / name).read_text()))


def pinned_version(package: str) -> str:
    match = re.search(rf"^{package}(?:\[.*\])?==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert match is not None, f"constraints.txt does not pin {package}"
    return match[1]


def pods(name: str) -> list[dict[str, Any]]:
    return [node for document in documents(name) for node in _walk(document) if "containers" in node]


def containers(name: str) -> list[dict[str, Any]]:
    return [c for pod in pods(name) for c in [*pod.get("initContainers", []), *pod["containers"]]]


def ray_cluster(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = documents(name)[0]["spec"]
    return spec.get("rayClusterSpec", spec)


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)
