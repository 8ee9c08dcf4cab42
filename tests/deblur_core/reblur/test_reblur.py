"""Reblur by convolution and by warping: against direct averaging, at its limits, and its gradients."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from deblur_core.reblur.convolution import reblur_by_convolution
from deblur_core.reblur.formation import BlurFormation
from deblur_core.reblur.kernel_table import KernelTable
from deblur_core.reblur.warping import reblur_by_warping, warp
from tests.media import moving_texture

BOTH = pytest.mark.parametrize("reblur", [reblur_by_convolution, reblur_by_warping])


def picture(size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """RGB float32 [H, W, 3] in [0, 1], band-limited as a lens leaves it."""
    texture = next(iter(moving_texture(1, size))).astype(np.float32) / 255.0
    return cv2.GaussianBlur(texture, (0, 0), 0.8)


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def uniform(flow: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(flow, dtype=like.dtype).view(1, 2, 1, 1).expand(len(like), 2, *like.shape[2:])


def averaged(image: np.ndarray, flow: tuple[float, float], moments: int = 65) -> np.ndarray:
    """What a shutter sees that is open while the picture moves from one neighbour to the other: moved and averaged."""
    total = np.zeros_like(image)
    for time in np.linspace(-1.0, 1.0, moments):
        # F(t+1 → t) points back to where the picture came from: it moved by -F within a frame.
        matrix = np.array([[1, 0, -time * flow[0]], [0, 1, -time * flow[1]]], np.float32)
        total += cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return total / moments


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


@BOTH
@pytest.mark.parametrize("flow", [(3.0, 0.0), (0.0, -6.0), (4.5, 2.25), (-7.3, 7.9), (11.0, -5.0)])
def test_a_moved_frame_reblurs_to_what_direct_averaging_gives(reblur, flow: tuple[float, float]) -> None:  # type: ignore[no-untyped-def]
    image = picture()
    target, blurred = tensor(image), tensor(averaged(image, flow))
    forward = uniform(flow, target)
    inner = (slice(None), slice(None), slice(16, -16), slice(16, -16))
    reblurred = reblur(target, [forward, -forward])
    assert psnr(reblurred[inner], blurred[inner]) > 30.0
    assert psnr(reblurred[inner], blurred[inner]) > psnr(target[inner], blurred[inner]) + 8.0


def test_a_bent_path_blurs_along_both_of_its_parts() -> None:
    target = torch.zeros(1, 1, 33, 33)
    target[..., 16, 16] = 1.0
    blurred = reblur_by_convolution(target, [uniform((4.0, 0.0), target), uniform((0.0, 4.0), target)])
    # Pixels that the lines reach the bright one from lie to its left and above it.
    assert blurred[0, 0, 16, 12:17].sum() == pytest.approx(1.0 - 0.5 * 7 / 8, abs=1e-6)
    assert blurred[0, 0, 12:17, 16].sum() == pytest.approx(1.0 - 0.5 * 7 / 8, abs=1e-6)
    assert blurred.sum() == pytest.approx(1.0, abs=1e-6)


@BOTH
def test_without_motion_the_frame_comes_back(reblur) -> None:  # type: ignore[no-untyped-def]
    target = tensor(picture((40, 32)))
    still = uniform((0.0, 0.0), target)
    assert torch.allclose(reblur(target, [still, still]), target, atol=1e-6)


@BOTH
def test_an_even_frame_stays_even_whatever_moves(reblur) -> None:  # type: ignore[no-untyped-def]
    target = torch.full((2, 3, 24, 20), 0.37)
    flow = torch.randn(2, 2, 24, 20, generator=torch.Generator().manual_seed(0)) * 9
    assert torch.allclose(reblur(target, [flow, -flow]), target, atol=1e-5)


def test_convolution_is_the_sum_over_kernels_laid_out() -> None:
    table = KernelTable(3)
    random = torch.Generator().manual_seed(1)
    target = torch.rand(1, 2, 6, 7, generator=random, dtype=torch.float64)
    flows = [torch.rand(1, 2, 6, 7, generator=random, dtype=torch.float64) * 8 - 4 for _ in range(2)]
    padded = torch.nn.functional.pad(target, (3, 3, 3, 3), mode="replicate")[0]
    expected = torch.zeros_like(target)
    for row in range(6):
        for column in range(7):
            kernel = sum(table.kernel(*flow[0, :, row, column].tolist()) for flow in flows) / 2
            expected[0, :, row, column] = (padded[:, row : row + 7, column : column + 7] * kernel).sum((1, 2))
    assert torch.allclose(reblur_by_convolution(target, flows, table), expected, atol=1e-12)


def test_tiles_do_not_show() -> None:
    target = tensor(picture((50, 38))).expand(2, -1, -1, -1)
    flow = torch.randn(2, 2, 38, 50, generator=torch.Generator().manual_seed(2)) * 5
    whole = reblur_by_convolution(target, [flow])
    assert torch.allclose(reblur_by_convolution(target, [flow], most_pixels=77), whole, atol=1e-6)


def test_gradients_of_convolution_are_right() -> None:
    random = torch.Generator().manual_seed(3)
    target = torch.rand(2, 1, 3, 4, generator=random, dtype=torch.float64, requires_grad=True)
    # Away from whole pixels, where a bilinear mean has a kink.
    flows = [(torch.randint(-2, 2, (2, 2, 3, 4), generator=random) + 0.5).double().requires_grad_() for _ in range(2)]
    table = KernelTable(2)
    assert torch.autograd.gradcheck(
        lambda x, a, b: reblur_by_convolution(x, [a, b], table, most_pixels=7), (target, *flows)
    )


def test_gradients_of_warping_are_right() -> None:
    random = torch.Generator().manual_seed(4)
    target = torch.rand(1, 2, 5, 4, generator=random, dtype=torch.float64, requires_grad=True)
    flow = (torch.rand(1, 2, 5, 4, generator=random, dtype=torch.float64) + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, f: reblur_by_warping(x, [f], steps=2), (target, flow))


@pytest.mark.parametrize("by", ["convolution", "warping"])
def test_gradients_through_linear_light_stay_finite_in_black(by: str) -> None:
    target = torch.zeros(1, 3, 12, 12)
    target[..., 6:] = 1.0
    target.requires_grad_()
    blurred = BlurFormation(by)(target, [uniform((2.0, 1.0), target)], 0.5)  # type: ignore[arg-type]
    blurred.square().mean().backward()
    assert target.grad is not None
    assert torch.isfinite(target.grad).all()


def test_light_adds_up_linearly_unless_told_otherwise() -> None:
    target = torch.zeros(1, 1, 8, 16)
    target[..., 8:] = 1.0
    flows = [uniform((-4.0, 0.0), target), uniform((4.0, 0.0), target)]
    linear, display = BlurFormation()(target, flows), BlurFormation(linear_light=False)(target, flows)
    assert display[0, 0, 4, 8] == pytest.approx(0.5625, abs=1e-5)
    assert linear[0, 0, 4, 8] == pytest.approx(0.5625 ** (1 / 2.2), abs=1e-3)


def test_exposure_scales_each_frame_of_a_batch() -> None:
    target = tensor(picture((40, 32))).expand(2, -1, -1, -1)
    flows = [uniform((6.0, 2.0), target), uniform((-6.0, -2.0), target)]
    both = BlurFormation()(target, flows, torch.tensor([0.0, 0.5]))
    assert torch.allclose(both[0], target[0].clamp(4e-4, 1.0), atol=1e-5)
    half = BlurFormation()(target, [flow * 0.5 for flow in flows])
    assert torch.allclose(both[1], half[1], atol=1e-6)


def test_warp_reads_where_the_flow_points() -> None:
    image = torch.arange(20.0).view(1, 1, 4, 5)
    assert warp(image, uniform((1.0, 2.0), image))[0, 0, 1, 2] == image[0, 0, 3, 3]


@BOTH
def test_flows_of_another_size_are_refused(reblur) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="reblur: flows of"):
        reblur(torch.zeros(1, 3, 8, 8), [torch.zeros(1, 2, 8, 9)])
