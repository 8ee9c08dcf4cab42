"""The bill of materials names what is installed, and all that it needs."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import av
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deblur_core.models.weights_file import WEIGHTS_FOLDER
from deblur_core.provenance.software_bill import software_bill

ROOT = Path(__file__).parents[3]


def test_every_package_that_the_program_asks_for_is_named_with_its_version() -> None:
    named = {each["name"]: each.get("version") for each in software_bill()["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"]:
        name = Requirement(text).name
        assert named[canonicalize_name(name)] == version(name)
    assert {"botocore", "s3transfer", "urllib3"} <= named.keys()  # what boto3 needs in turn
    assert not {"pytest", "mypy", "moto"} & named.keys()  # what only tests need


def test_ffmpeg_and_the_released_weights_are_named() -> None:
    named = {each["name"]: each for each in software_bill()["components"]}
    assert named["ffmpeg"]["version"] == av.ffmpeg_version_info
    weights = {path.name for path in WEIGHTS_FOLDER.glob("*.safetensors")}
    assert weights and weights <= named.keys()
    assert all(len(named[name]["hashes"][0]["content"]) == 64 for name in weights)


def test_references_lead_somewhere_and_are_unique() -> None:
    bill = software_bill()
    references = [each["bom-ref"] for each in bill["components"]] + [bill["metadata"]["component"]["bom-ref"]]
    assert len(references) == len(set(references))
    for each in bill["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= set(references)
    assert software_bill() == bill
