"""`restore-archive adapt` and the flow behind the deployment `adapt-models/default`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deblur_core.errors import SettingsError
from flows.command_line import app
from tests.deblur_core.adaptation.conftest import Place, place
from tests.flows.command import REPOSITORY

__all__ = ["place"]

Invoke = Callable[..., Any]


@pytest.fixture
def invoke(place: Place, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command in this process, in a working directory of its own, on weights that restore nothing yet."""
    monkeypatch.chdir(place.folder)
    monkeypatch.setattr("signal.signal", lambda signum, handler: None)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("RESTORE_WEIGHTS", str(place.weights))
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_adapt_says_what_it_gained_and_leaves_weights_and_report(
    invoke: Invoke, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network that has learnt nothing yet bears larger steps.
    monkeypatch.setattr("deblur_core.adaptation.adapt.rate_share", lambda progress: 3.0)
    result = invoke("adapt", "tiny", "--videos", place.videos, "--iterations", 12, "--frames", 2, "--device", "cpu",
                    "--teacher", "default-fast")  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads((place.folder / "tiny-adapted.json").read_text())
    assert (report["iterations"], report["frames"], report["accepted"]) == (12, 2, True)
    assert "tiny: 12 iterations over 1 video" in result.output
    assert "default-fast restored 48 blurred places to learn from" in result.output
    assert f"adapted weights: {place.folder}/tiny-adapted.safetensors" in result.output
    assert (place.folder / "tiny-adapted.safetensors").is_file()


def test_json_is_all_of_stdout_and_a_refusal_ends_with_3(
    invoke: Invoke, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With one iteration in warm-up and weights of half precision, nothing changes, and so nothing is better.
    monkeypatch.setattr("deblur_core.adaptation.adapt.rate_share", lambda progress: 1e-9)
    result = invoke("adapt", "tiny", "--videos", place.videos, "--iterations", 1, "--out", "a.safetensors", "--json")
    assert result.exit_code == 3, result.output
    report = json.loads(result.stdout)
    assert report["accepted"] is False
    assert not (place.folder / "a.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("adapt", "tinny", "--videos", "videos"), "unknown restorer 'tinny'"),
        (("adapt", "tiny", "--videos", "nowhere"), "nowhere"),
        (("adapt", "tiny", "--videos", "videos", "--teacher", "nobody"), "--teacher: unknown restorer 'nobody'"),
        (("adapt", "tiny", "--videos", "videos", "--iterations", "0"), "iterations = 0 must be at least 1"),
        (("adapt", "tiny", "--videos", "videos", "--frames", "4"), "frames = 4 must be 2 or 3"),
        (("adapt", "tiny", "--videos", "videos", "--out", "weights.pt"), "ends in .safetensors"),
        (("adapt", "tiny", "--videos", "videos", "--device", "tpu"), "device = 'tpu'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(invoke: Invoke, arguments: tuple[str, ...], words: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_deployment_names_the_flow_and_parameters_that_it_has() -> None:
    from flows.adapt_models import adapt_models

    deployments = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]
    (ours,) = [each for each in deployments if each["entrypoint"] == "flows/adapt_models.py:adapt_models"]
    assert (adapt_models.name, ours["name"]) == ("adapt-models", "default")
    assert ours["schedules"] == []
    asked = {"restorer", "videos", "out", "iterations", "frames", "device", "seed", "teacher"}
    assert set(adapt_models.parameters.properties) == asked


def test_the_flow_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flows.adapt_models import adapt_models

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"no videos given: add --param videos=…"):
        adapt_models.fn(out="a.safetensors")
    with pytest.raises(SettingsError, match=r"no out given: add --param out=…"):
        adapt_models.fn(videos=str(tmp_path))
