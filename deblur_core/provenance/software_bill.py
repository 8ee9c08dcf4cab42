"""A software bill of materials of what is installed here, as CycloneDX 1.6 JSON on stdout: every Python package that
the program needs, however far down; the FFmpeg inside PyAV; the released weights with their hashes.

It reads what pip left beside the packages and asks no network: `python -m deblur_core.provenance.software_bill`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

import av
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deblur_core.models.weights_file import WEIGHTS_FOLDER
from deblur_core.provenance.versions import PROGRAM, program_version

_SPEC_VERSION = "1.6"


def software_bill() -> dict[str, Any]:
    """The bill as the object that CycloneDX describes; the same for the same installation."""
    found: dict[str, Distribution] = {}
    needs: dict[str, list[str]] = {}
    waiting = [(canonicalize_name(PROGRAM), frozenset[str]())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for needed in _requirements(found[name], extras):
            other = canonicalize_name(needed.name)
            needs.setdefault(name, []).append(other)
            waiting.append((other, frozenset(needed.extras)))
    packages = {name: each for name, each in sorted(found.items()) if name != canonicalize_name(PROGRAM)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": _SPEC_VERSION,
        "version": 1,
        "metadata": {"component": {**_component("application", PROGRAM, program_version()), "bom-ref": PROGRAM}},
        "components": [*(_package(name, each) for name, each in packages.items()), *_libraries(), *_weights()],
        "dependencies": [
            {"ref": name, "dependsOn": sorted({other for other in needs.get(name, []) if other in found})}
            for name in sorted(found)
        ],
    }


def _requirements(package: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    """Those that hold on this machine, with these extras."""
    for text in package.requires or ():
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield needed


def _package(name: str, package: Distribution) -> dict[str, Any]:
    described = {
        **_component("library", name, package.version),
        "bom-ref": name,
        "purl": f"pkg:pypi/{name}@{package.version}",
    }
    licence = package.metadata.json.get("license_expression")
    return described | ({"licenses": [{"expression": licence}]} if licence else {})


def _libraries() -> Iterator[dict[str, Any]]:
    yield {
        **_component("library", "ffmpeg", av.ffmpeg_version_info),
        "bom-ref": "ffmpeg",
        "purl": f"pkg:generic/ffmpeg@{av.ffmpeg_version_info}",
        "description": "inside the wheel of PyAV",
    }


def _weights() -> Iterator[dict[str, Any]]:
    released = json.loads((WEIGHTS_FOLDER / "released.json").read_text(encoding="utf-8"))
    for name, facts in sorted(released.items()):
        hashes = [{"alg": "SHA-256", "content": facts["sha256"]}]
        yield {"type": "machine-learning-model", "name": name, "bom-ref": name, "hashes": hashes}


def _component(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "name": name, "version": version}


if __name__ == "__main__":
    json.dump(software_bill(), sys.stdout, indent=1)
    sys.stdout.write("\n")
