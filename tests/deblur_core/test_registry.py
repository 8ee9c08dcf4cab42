"""Released models: which names there are, and that only the released weights are ever loaded."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deblur_core.errors import SettingsError, WeightsError
from deblur_core.losses.feature_weights import released_features
from deblur_core.models import registry, weights_file

RELEASED = Path(weights_file.__file__).resolve().parent.parent / "weights"
NAMES = sorted(json.loads((RELEASED / "released.json").read_text()))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the weights folder that a test may harm."""
    shutil.copytree(RELEASED, tmp_path / "weights")
    monkeypatch.setattr(weights_file, "WEIGHTS_FOLDER", tmp_path / "weights")
    weights_file._released.cache_clear()
    registry.check_weights.cache_clear()
    yield tmp_path / "weights"
    weights_file._released.cache_clear()
    registry.check_weights.cache_clear()


def test_there_is_a_default_of_each_kind() -> None:
    assert "default" in registry.restorer_names()
    assert "default" in registry.selector_names()


@pytest.mark.parametrize("name", NAMES)
def test_a_released_file_has_the_hash_that_the_list_names(name: str) -> None:
    released = json.loads((RELEASED / "released.json").read_text())[name]
    assert hashlib.sha256((RELEASED / name).read_bytes()).hexdigest() == released["sha256"]


def test_every_entry_has_released_weights() -> None:
    used = {entry.weights for entry in registry.RESTORERS.values()}
    used |= {entry.weights for entry in registry.SELECTORS.values()}
    assert used <= set(NAMES)
    assert all(registry.weights_bytes(name) > 0 for name in used)


def test_what_the_registry_says_of_a_restorer_is_what_its_weights_hold() -> None:
    from safetensors.numpy import load_file

    for entry in registry.RESTORERS.values():
        tensors = load_file(RELEASED / entry.weights)
        learnt = [tensor.size for name, tensor in tensors.items() if ".running_" not in name]
        assert sum(learnt) == entry.parameters


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_byte_is_refused(weights: Path, name: str) -> None:
    data = bytearray((weights / name).read_bytes())
    data[-1] ^= 1
    (weights / name).write_bytes(data)
    selectors = [entry.name for entry in registry.SELECTORS.values() if entry.weights == name]
    restorers = [entry.name for entry in registry.RESTORERS.values() if entry.weights == name]
    if not selectors and not restorers:
        with pytest.raises(WeightsError, match=f"{name} are not the released ones"):
            released_features()
        return
    with pytest.raises(WeightsError, match=f"{name} are not the released ones"):
        registry.check_weights((*restorers, "default")[0], (*selectors, "default")[0])
    with pytest.raises(WeightsError):
        registry.load_selector(selectors[0]) if selectors else registry.load_restorer(restorers[0], "cpu")


def test_missing_weights_are_refused(weights: Path) -> None:
    (weights / "default.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"cannot be read.*install again"):
        registry.check_weights("default", "default")


def test_a_file_that_was_not_released_is_refused(weights: Path) -> None:
    (weights / "extra.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match="not among the released weights"):
        weights_file.verified_weights("extra.safetensors")


def test_a_list_that_cannot_be_read_is_refused(weights: Path) -> None:
    (weights / "released.json").write_text("{")
    with pytest.raises(WeightsError, match=r"list of released weights.*install again"):
        weights_file.verified_weights("default.safetensors")


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(SettingsError, match=r"unknown restorer 'deblr': there is .*default"):
        registry.find_restorer("deblr")
    with pytest.raises(SettingsError, match=r"unknown selector 'eyes': there is .*default"):
        registry.load_selector("eyes")


def test_asking_for_names_and_weights_loads_no_torch() -> None:
    script = (
        "import sys\nfrom deblur_core.models import registry\nregistry.check_weights('default', 'default')\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else 0)\n"
    )
    root = RELEASED.parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_weights_of_one_s_own_are_used_and_known_by_their_hash(tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    shutil.copy(RELEASED / "default.safetensors", own)
    restorer = registry.load_restorer("default", "cpu", own)
    assert restorer.weights_sha256 == registry.released_hash("default.safetensors")
    with pytest.raises(WeightsError, match="not those that this run began with"):
        registry.load_restorer("default", "cpu", own, "0" * 64)
    with pytest.raises(WeightsError, match="does not hold weights of DeblurNetGenerator"):
        registry.load_restorer("deblurnet", "cpu", own)
