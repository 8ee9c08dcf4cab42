"""What every restorer of the registry keeps: any size, any number of frames, either precision, tiles without seams."""

import cv2
import numpy as np
import pytest
import torch

from deblur_core.models import registry
from deblur_core.models.network_restorer import NetworkRestorer, fill_network
from deblur_core.models.registry import RESTORERS, build_network, find_restorer, released_hash, weights_bytes
from deblur_core.models.weights_file import verified_weights

NAMES = list(RESTORERS)
MOST_MIB = 25


def restorer(name: str, dtype: torch.dtype = torch.float32, most_tile_pixels: int = 1 << 20) -> NetworkRestorer:
    entry = find_restorer(name)
    network = build_network(entry)
    fill_network(network, verified_weights(entry.weights))
    device = torch.device("cpu")
    return NetworkRestorer(name, network, released_hash(entry.weights), device, dtype, most_tile_pixels)


def film(frames: int, height: int = 97, width: int = 131) -> np.ndarray:
    """A pan over shapes, every second frame shaken: uint8 [T, H, W, 3]."""
    rng = np.random.default_rng(4)
    picture = cv2.resize((rng.random((9, 12, 3)) * 220).astype(np.uint8), (width + 60, height + 40))
    for _ in range(60):
        x, y = int(rng.integers(width + 60)), int(rng.integers(height + 40))
        colour = tuple(float(value) for value in rng.integers(0, 255, 3))
        cv2.rectangle(picture, (x, y), (x + int(rng.integers(4, 40)), y + int(rng.integers(4, 40))), colour, -1)
    cuts = [picture[20 : 20 + height, 2 * t + 5 : 2 * t + 5 + width] for t in range(frames)]
    return np.stack([cv2.blur(cut, (7, 1)) if t % 2 else cut for t, cut in enumerate(cuts)])


@pytest.mark.parametrize("name", NAMES)
def test_what_the_registry_says_is_what_the_network_is(name: str) -> None:
    entry = find_restorer(name)
    network = build_network(entry)
    assert network.needs == entry.needs
    assert sum(parameter.numel() for parameter in network.parameters()) == entry.parameters
    assert weights_bytes(entry.weights) <= MOST_MIB * 2**20
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, network.input_channels, 256, 256))
    operations = network.passes * len(network.flips) * counter.get_total_flops() / 2e9
    assert operations == pytest.approx(entry.gmac_256, abs=0.006)


@pytest.mark.parametrize("name", NAMES)
def test_odd_sizes_and_ten_frames(name: str) -> None:
    frames = film(10)
    blurred = np.zeros(10, bool)
    blurred[[3, 9]] = True
    out = restorer(name).restore(frames, blurred)
    assert out.shape == frames.shape and out.dtype == np.uint8
    assert (out[~blurred] == frames[~blurred]).all()
    assert (out[blurred] != frames[blurred]).any()
    # A restorer corrects a frame, it does not paint another one.
    assert np.abs(out[blurred].astype(int) - frames[blurred]).mean() < 12.0


@pytest.mark.parametrize("name", NAMES)
def test_one_frame_alone(name: str) -> None:
    frames = film(2)[1:]
    out = restorer(name).restore(frames, np.array([True]))
    assert out.shape == frames.shape


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_gives_what_float32_gives(name: str) -> None:
    frames = film(5)
    blurred = np.arange(5) == 3
    exact = restorer(name).restore(frames, blurred)[3].astype(int)
    half = restorer(name, torch.bfloat16).restore(frames, blurred)[3].astype(int)
    assert np.abs(exact - half).mean() < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_ten_bits_stay_ten_bits(name: str) -> None:
    frames = film(5)
    blurred = np.arange(5) == 3
    eight = restorer(name).restore(frames, blurred)[3].astype(float)
    wide = restorer(name).restore(frames.astype(np.uint16) * 257, blurred)[3]
    assert wide.dtype == np.uint16
    assert np.abs(wide / 257.0 - eight).mean() < 0.6
    assert len(np.unique(wide)) > 300


@pytest.mark.parametrize("name", NAMES)
def test_tiles_leave_no_seam(name: str) -> None:
    """Whole against tiles, blended: less than a grey level apart on the mean, hardly visible anywhere. Networks that
    normalise over the frame do so over windows, whose grid starts anew in each tile: they differ most."""
    frames = film(5, 290, 350)
    blurred = np.arange(5) == 3
    whole = restorer(name).restore(frames, blurred)[3].astype(int)
    tiled = restorer(name, most_tile_pixels=224 * 224).restore(frames, blurred)[3].astype(int)
    difference = np.abs(whole - tiled)
    assert difference.mean() < 0.75
    assert np.percentile(difference, 99) <= 5


def test_unknown_restorers_are_named() -> None:
    with pytest.raises(Exception, match="there is default"):
        registry.find_restorer("sharpener")
