"""A small restorer in the registry, and a folder of videos to adapt it to; for the tests of flows too."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from deblur_core.models import registry
from deblur_core.models.neighbour_nafnet import NeighbourNAFNet
from deblur_core.models.restorer import ContextNeeds
from tests.workers.shaken_clip import shaken_clip

OPTIONS = {"width": 4, "encoder": (1,), "middle": 1}


@dataclass(frozen=True)
class Place:
    """videos: a folder with one partly blurred video; weights: of the restorer `tiny`, which restores nothing yet."""

    folder: Path
    videos: Path
    weights: Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    torch.manual_seed(0)
    network = NeighbourNAFNet(**OPTIONS)
    weights = tmp_path / "tiny.safetensors"
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, weights)
    count = sum(each.numel() for each in network.parameters())
    entry = registry.RestorerEntry(
        "tiny", "for tests", "tiny.safetensors", "neighbour_nafnet:NeighbourNAFNet",
        ContextNeeds(sharp_references=2), count, 0.01, OPTIONS, teacher=None,
    )  # fmt: skip
    monkeypatch.setitem(registry.RESTORERS, "tiny", entry)
    (tmp_path / "videos").mkdir()
    shaken_clip(tmp_path / "videos" / "clip.mp4", frames=32, shaken=((10, 16),), size=(128, 96))
    return Place(tmp_path, tmp_path / "videos", weights)
