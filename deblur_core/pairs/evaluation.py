"""What a restorer gains on pairs: PSNR and SSIM of each frame before and after, one frame at a time.

Memory holds the frames that the restorer looks at around one blurred frame, however long the sequence. Every frame
counts as blurred unless labels say otherwise. Knows no set and no command line.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from deblur_core.metrics import psnr, ssim
from deblur_core.models.restorer import Restorer, choose_context, picture_sharpness, window_of
from deblur_core.models.selector import Selector
from deblur_core.pairs.ecc_alignment import align_to_truth
from deblur_core.pairs.frame_pairs import FramePair, PairSequence
from deblur_core.pairs.picture_file import read_picture


@dataclass(frozen=True)
class PairScore:
    """PSNR in dB (infinite where equal to the truth) and SSIM of a pair, as it was and restored.

    blurred: its label; a frame that is not blurred is not restored. unaligned: alignment was asked for and not found
    for one of the two, which is scored as it is.
    """

    pair: FramePair
    blurred: bool
    psnr_before: float
    psnr_after: float
    ssim_before: float
    ssim_after: float
    unaligned: bool = False

    @property
    def worse(self) -> bool:
        """Whether restoring took PSNR away, however little."""
        return self.psnr_after < self.psnr_before


def score_sequence(
    restorer: Restorer, sequence: PairSequence, blurred: np.ndarray | None = None, align: bool = False
) -> Iterator[PairScore]:
    """Restores and scores a sequence, in order.

    blurred: bool [T], labels of its frames (default: all blurred); frames that are not stay as they are and serve the
    others as references. Photographs see nothing around them. align: score after `align_to_truth`, both before and
    after. Raises UsageError for a picture that cannot be read, ValueError for labels of another length.
    """
    count = len(sequence.pairs)
    labels = np.ones(count, bool) if blurred is None else np.asarray(blurred, bool)
    if labels.shape != (count,):
        raise ValueError(f"score_sequence: {count} frames but labels of shape {labels.shape}")
    window = _Window(sequence, restorer.needs.margin_frames)
    for pair in sequence.pairs:
        window.move_to(pair.order)
        before = window.frame(pair.order)
        after = _restored(restorer, sequence, window, pair.order, labels) if labels[pair.order] else before
        yield _score(pair, bool(labels[pair.order]), before, after, align)


def label_sequence(selector: Selector, sequence: PairSequence, threshold: float) -> np.ndarray:
    """Which frames a selector calls blurred: bool [T]. Of photographs each is judged alone."""
    features = [
        selector.frame_features(cv2.cvtColor(read_picture(pair.blurred), cv2.COLOR_RGB2GRAY)) for pair in sequence.pairs
    ]
    if sequence.photographs:
        probability = np.concatenate([selector.probabilities([each]) for each in features])
    else:
        probability = selector.probabilities(features)
    return probability >= np.float32(threshold)


class _Window:
    """Blurred frames around the one that is being restored, each decoded once."""

    def __init__(self, sequence: PairSequence, margin: int) -> None:
        self._sequence = sequence
        self._margin = margin
        self._held: dict[int, np.ndarray] = {}
        self._sharpness: dict[int, float] = {}

    def move_to(self, target: int) -> None:
        self._held = {number: frame for number, frame in self._held.items() if number >= target - self._margin}

    def frame(self, number: int) -> np.ndarray:
        if number not in self._held:
            self._held[number] = read_picture(self._sequence.pairs[number].blurred)
        return self._held[number]

    def sharpness_of(self, number: int) -> float:
        if number not in self._sharpness:
            self._sharpness[number] = picture_sharpness(self.frame(number))
        return self._sharpness[number]


def _restored(
    restorer: Restorer, sequence: PairSequence, window: _Window, target: int, labels: np.ndarray
) -> np.ndarray:
    """What `Restorer.restore` would make of this frame of the whole sequence, with only what it looks at in memory."""
    alone = (target, target + 1) if sequence.photographs else None
    plan = choose_context(target, labels, restorer.needs, shot=alone, sharpness_of=window.sharpness_of)
    return restorer.restore_frame(window_of(plan, window.frame))


def _score(pair: FramePair, blurred: bool, before: np.ndarray, after: np.ndarray, align: bool) -> PairScore:
    truth = read_picture(pair.sharp)
    psnr_before, ssim_before, missed_before = _closeness(before, truth, align)
    psnr_after, ssim_after, missed_after = _closeness(after, truth, align)
    return PairScore(pair, blurred, psnr_before, psnr_after, ssim_before, ssim_after, missed_before or missed_after)


def _closeness(picture: np.ndarray, truth: np.ndarray, align: bool) -> tuple[float, float, bool]:
    """PSNR, SSIM, and whether alignment was asked for in vain."""
    aligned = align_to_truth(picture, truth) if align else None
    if aligned is None:
        return psnr(picture, truth), ssim(picture, truth), align
    found, wanted = aligned
    return psnr(found, wanted), ssim(255.0 * found, 255.0 * wanted), False
