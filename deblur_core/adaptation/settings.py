"""Everything that an adaptation can be told, validated once. Knows no network and no video."""

from dataclasses import dataclass
from typing import Literal

from deblur_core.errors import SettingsError
from deblur_core.reblur.loss import ALPHA

LEAST_PATCH = 64


@dataclass(frozen=True)
class AdaptationSettings:
    """Defaults are the paper's (Section 3.4) where it has any. Raises SettingsError for values out of range."""

    iterations: int = 200
    frames: Literal[2, 3] = 3
    """of the blur formation model: the blurred one and the one after it, or also the one before it (Table 5)"""
    alpha: float = ALPHA
    """weight of the reblur loss beside the supervised one (Eq. 10)"""
    rate: float = 3e-4
    """of Adam at its highest; then it falls along a cosine. The paper's 0.0001, halved thrice, gains less: the mean of
    the weights bears more"""
    formation: Literal["convolution", "warping"] = "warping"
    """which blur formation model; equally good in the paper (Table 3), and warping is far quicker without a GPU"""
    exposure: float | None = None
    """τ: 1 is the paper's, for every patch; None finds it for each, and leaves out those whose loss would not teach"""
    patch: int = 192
    """side of the patches, pixels; smaller where frames are smaller"""
    labelled_batch: int = 4
    taught_batch: int = 4
    unlabelled_batch: int = 2
    labelled_patches: int = 160
    """how many labelled pairs are made to learn from; each iteration cuts and turns some of them anew"""
    taught_patches: int = 160
    """how many places of blurred frames a teacher labels, where there is one"""
    unlabelled_patches: int = 64
    """how many blurred places of the videos are looked at"""
    held_out_patches: int = 48
    """how many labelled pairs, of frames that are not learnt from, decide whether the result is kept"""
    seed: int = 1

    def __post_init__(self) -> None:
        least = {
            "iterations": 1, "alpha": 0, "rate": 0, "patch": LEAST_PATCH, "labelled_batch": 1, "unlabelled_batch": 1,
            "labelled_patches": 1, "unlabelled_patches": 1, "held_out_patches": 1, "seed": 0, "taught_batch": 1,
            "taught_patches": 1,
        }  # fmt: skip
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise SettingsError(f"adaptation: {name} = {getattr(self, name)} must be at least {bound}")
        if self.frames not in (2, 3):
            raise SettingsError(f"adaptation: frames = {self.frames} must be 2 or 3")
        if self.formation not in ("convolution", "warping"):
            raise SettingsError(f"adaptation: formation = {self.formation!r} must be convolution or warping")
        if self.exposure is not None and not 0.0 < self.exposure <= 4.0:
            raise SettingsError(f"adaptation: exposure = {self.exposure} must lie above 0 and be at most 4")
