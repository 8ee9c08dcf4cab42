"""Content loss: distance of features; and whose weights it accepts."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from deblur_core.errors import WeightsError
from deblur_core.losses import vgg19
from deblur_core.losses.content import ContentLoss
from deblur_core.losses.feature_net import FeatureNet
from deblur_core.losses.feature_weights import load_features
from deblur_core.losses.vgg19 import VGG19Features


def frames(seed: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, 16, 24, generator=torch.Generator().manual_seed(seed))


def written(network: nn.Module, path: Path) -> tuple[Path, str]:
    save_file(network.state_dict(), str(path))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def features() -> FeatureNet:
    torch.manual_seed(1)
    return FeatureNet().requires_grad_(False).eval()


def test_equal_frames_have_equal_content(features: FeatureNet) -> None:
    assert float(ContentLoss(features)(frames(1), frames(1))) == 0.0


def test_it_is_the_length_of_the_difference_of_features_over_their_number() -> None:
    torch.manual_seed(1)
    features = nn.Conv2d(3, 5, 1)
    difference = features(frames(1)) - features(frames(2))
    by_hand = difference.square().sum(1).sqrt().mean() / 5
    assert float(ContentLoss(features)(frames(1), frames(2)).detach()) == pytest.approx(float(by_hand.detach()))


def test_it_falls_in_proportion_as_features_approach() -> None:
    truth, other, loss = frames(1), frames(2), ContentLoss(nn.Identity())
    distances = [float(loss(torch.lerp(truth, other, share), truth)) for share in (1.0, 0.5, 0.1)]
    assert distances == pytest.approx([distances[0], 0.5 * distances[0], 0.1 * distances[0]], rel=1e-4)
    assert distances[0] > 0.0


def test_its_gradient_is_that_of_its_equation(features: FeatureNet) -> None:
    loss = ContentLoss(features.double())
    restored = frames(1)[:1, :, :8, :8].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, frames(2)[:1, :, :8, :8].double()), restored, fast_mode=True)


def test_equal_features_have_a_finite_gradient(features: FeatureNet) -> None:
    restored = frames(1).requires_grad_()
    ContentLoss(features)(restored, frames(1)).backward()
    assert restored.grad is not None
    assert restored.grad.isfinite().all()


def test_each_of_many_frames_counts(features: FeatureNet) -> None:
    loss, restored, truth = ContentLoss(features), frames(1, 6), frames(2, 6)
    alone = [float(loss(restored[:, at : at + 3], truth[:, at : at + 3])) for at in (0, 3)]
    assert float(loss(restored, truth)) == pytest.approx(sum(alone) / 2)


def test_luma_frames_are_looked_at_as_grey_ones(features: FeatureNet) -> None:
    grey = ContentLoss(features, channels=1)(frames(1, 1), frames(2, 1))
    same = ContentLoss(features)(frames(1, 1).expand(-1, 3, -1, -1), frames(2, 1).expand(-1, 3, -1, -1))
    assert float(grey) == pytest.approx(float(same))


def test_features_come_from_the_file_and_are_frozen(tmp_path: Path, features: FeatureNet) -> None:
    path, sha256 = written(features, tmp_path / "features.safetensors")
    torch.manual_seed(2)
    loaded = load_features(FeatureNet(), path, sha256.upper())
    assert torch.equal(loaded(frames(1)), features(frames(1)))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_file_with_another_hash_is_refused_in_one_line(tmp_path: Path, features: FeatureNet) -> None:
    path, _ = written(features, tmp_path / "features.safetensors")
    with pytest.raises(WeightsError, match=r"features\.safetensors are not the ones asked for") as refusal:
        load_features(FeatureNet(), path, "0" * 64)
    assert "\n" not in str(refusal.value)


def test_the_hash_is_checked_before_the_file_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_bytes(b"no tensors at all")
    with pytest.raises(WeightsError, match="not the ones asked for"):
        load_features(FeatureNet(), tmp_path / "rubbish", "0" * 64)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        load_features(FeatureNet(), tmp_path / "nowhere.safetensors", "0" * 64)


def test_a_pickle_is_refused_and_never_opened(tmp_path: Path, features: FeatureNet) -> None:
    path = tmp_path / "features.pth"
    torch.save(features.state_dict(), path)
    with pytest.raises(WeightsError, match=r"no safetensors file .*: convert them as .*feature_net says"):
        load_features(FeatureNet(), path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_weights_of_another_network_are_refused_by_the_tensor_that_differs(tmp_path: Path) -> None:
    path, sha256 = written(nn.Sequential(nn.Conv2d(3, 8, 3)), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"FeatureNet: features\.0\.weight is nothing, not \[32, 3, 3, 3\]"):
        load_features(FeatureNet(), path, sha256)


def test_vgg19_has_relu4_3_at_an_eighth_of_the_size() -> None:
    network = VGG19Features()
    assert network(torch.rand(1, 3, 16, 24)).shape == (1, 512, 2, 3)
    assert isinstance(network.features[23], nn.Conv2d)
    assert [layer for layer, module in network.features.named_children() if isinstance(module, nn.MaxPool2d)] == [
        "4", "9", "18",
    ]  # fmt: skip


def test_torchvisions_file_is_converted_by_the_command_that_the_docstring_gives(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = VGG19Features()
    beyond = {"features.25.weight": torch.zeros(8, 8, 3, 3), "classifier.0.bias": torch.zeros(4)}
    torch.save({**network.state_dict(), **beyond}, tmp_path / "vgg19.pth")
    script = str(vgg19.__doc__).split('python -c "')[1].split('"')[0]
    lines = "\n".join(line.removeprefix("    ") for line in script.splitlines())
    out = tmp_path / "vgg19.safetensors"
    subprocess.run([sys.executable, "-c", lines, str(tmp_path / "vgg19.pth"), str(out)], check=True)
    loaded = load_features(VGG19Features(), out, hashlib.sha256(out.read_bytes()).hexdigest())
    assert torch.equal(loaded(frames(1)), network(frames(1)))
