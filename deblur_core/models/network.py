"""What every restoration network says of itself, so that no caller needs a table of special cases.

A network is channels in, channels out, over frames of any size. Knows no architecture, no file and no video.
"""

from torch import Tensor, nn

from deblur_core.models.restorer import ContextNeeds


class RestorationNetwork(nn.Module):
    """A fully convolutional network from a window of frames to restored frames.

    Input: float [B, `input_channels`, H, W] in [0, 1], RGB: first the window's `frames`, oldest first, the blurred
    target in their middle; then for each of `references` a nearest sharp frame, before then after, as RGB warped onto
    the target and a plane of validity (1 where the warp is inside the reference, else 0 and the target shows).
    Output: float [B, 3 × `outputs`, H, W], RGB; the restored target is the middle one. H and W are multiples of
    `size_multiple`. Where a shot ends, the nearest frame that is there stands in for one that is not.
    """

    frames: int = 1
    """Length of the window of consecutive frames; odd."""
    references: int = 0
    """How many sharp frames it takes beside the window."""
    outputs: int = 1
    """Frames that it gives at once: 1, one for each of the window, or moments of the exposure; odd."""
    size_multiple: int = 1
    """Both sides of its input are multiples of this, pixels."""
    training_patch: int = 192
    """Side of the patches that it learns from, pixels: statistics are pooled over this much of a full frame."""
    tile_overlap: int = 64
    """What neighbouring tiles share, pixels: at least the radius that a pixel's result depends on visibly."""
    passes: int = 1
    """How often a frame is restored: from the second time on, references are aligned to what the last pass restored.
    The result is the mean of all that had references."""
    flips: tuple[tuple[int, ...], ...] = ((),)
    """Axes of [B, C, H, W] along which its input is turned over and its result back: what it gives is their mean (the
    geometric self-ensemble of Lim et al. 2017, EDSR)."""
    half_precision: bool = True
    """Whether bfloat16 keeps its result (float32 elsewhere in the program is then not worth its time)."""

    @property
    def input_channels(self) -> int:
        """RGB of each frame of the window, RGB and validity of each reference."""
        return 3 * self.frames + 4 * self.references

    @property
    def needs(self) -> ContextNeeds:
        """What it looks at around a blurred frame."""
        reach = self.frames // 2
        return ContextNeeds(frames_before=reach, frames_after=reach, sharp_references=self.references)

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError
