"""`restore-archive train` and the flow train-models, as a user meets them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.flows.command import Invoke


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs with edges; few samples are judged on."""
    monkeypatch.setattr("deblur_core.training.run.VALIDATION_SAMPLES", 2)
    folder = tmp_path / "material"
    folder.mkdir()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        small = (rng.random((26, 30, 3)) * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{seed}th.png"), cv2.resize(small, (360, 300), interpolation=cv2.INTER_NEAREST))
    return folder


def test_the_list_says_what_each_needs(invoke: Invoke) -> None:
    result = invoke("train", "--list")
    assert result.exit_code == 0
    for name in ("default", "deblurnet", "gradientnet", "st-variant-rnn", "contiguous", "dvd", "deblurgan"):
        assert name in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a restorer to train"),
        (("dvd",), "--data FOLDER"),
        (("dvd", "--data", "."), "--minutes M, or as --steps N"),
        (("dvd", "--data", ".", "--minutes", "1", "--steps", "1"), "--minutes M, or as --steps N"),
        (("dvd", "--data", ".", "--minutes", "-1"), "more than nothing"),
        (("sharpener", "--data", ".", "--steps", "1"), "unknown restorer"),
        (("dvd", "--data", "nowhere", "--steps", "1"), "is no folder"),
        (("dvd", "--data", ".", "--steps", "1", "--published"), "no published recipe"),
    ],
)
def test_a_wrong_request_is_one_line(invoke: Invoke, arguments: tuple[str, ...], said: str) -> None:
    result = invoke("train", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_training_leaves_weights_that_the_network_takes(invoke: Invoke, tmp_path: Path, material: Path) -> None:
    out = tmp_path / "out"
    arguments = (
        "train",
        "default",
        "--data",
        material,
        "--steps",
        "2",
        "--samples",
        "4",
        "--threads",
        "1",
        "--out",
        out,
        "--json",
    )
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    described = json.loads(result.stdout)
    assert described["steps"] == 2 and described["seed"] == 1

    from deblur_core.models.network_restorer import fill_network
    from deblur_core.models.registry import build_network, find_restorer

    fill_network(build_network(find_restorer("default")), out / "weights.safetensors")
    again = invoke(*arguments)
    assert again.exit_code == 2
    assert "--resume goes on with it" in again.stderr
