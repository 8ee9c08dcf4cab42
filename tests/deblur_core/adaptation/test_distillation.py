"""Real blurred frames with what a teacher makes of them: the teacher's frames are the truths, and they are learnt."""

import numpy as np
import pytest
import torch

from deblur_core.adaptation.adapt import adapt
from deblur_core.adaptation.distillation import draw_distilled
from deblur_core.adaptation.footage import Footage
from deblur_core.adaptation.pairs import MARGIN
from deblur_core.adaptation.settings import AdaptationSettings
from deblur_core.errors import UsageError
from deblur_core.models.network_restorer import NetworkRestorer
from deblur_core.models.restorer import ContextNeeds, FrameWindow, Restorer
from tests.deblur_core.adaptation.footage import TinyNetwork, partly_blurred

PATCH = 64


class Negative(Restorer):
    """Turns frames into their negatives, so that what it has made can be told from anything else."""

    name, needs, weights_sha256 = "negative", ContextNeeds(), ""

    def __init__(self) -> None:
        self.asked = 0

    def restore_frame(self, window: FrameWindow) -> np.ndarray:
        self.asked += 1
        return 255 - window.target


def pupil(frames: int = 1, references: int = 0, outputs: int = 1) -> NetworkRestorer:
    torch.manual_seed(0)
    return NetworkRestorer("", TinyNetwork(frames, references, outputs), "", torch.device("cpu"))


def draw(footage: Footage, restorer: NetworkRestorer, teacher: Restorer, count: int = 12) -> list[np.ndarray]:
    return draw_distilled([footage], count, restorer, teacher, PATCH, np.random.default_rng(4))


def test_what_the_teacher_makes_of_a_blurred_frame_is_its_truth() -> None:
    footage, teacher = partly_blurred(), Negative()
    for pair in draw(footage, pupil(), teacher):
        assert pair.shape == (6, PATCH + MARGIN, PATCH + MARGIN)
        np.testing.assert_array_equal(pair[3:], 255 - pair[:3])
    assert 0 < teacher.asked <= int(footage.blurred.sum())  # each frame once, however many places of it


def test_sharp_frames_of_a_window_are_their_own_truths() -> None:
    footage = partly_blurred(blurred=[10])
    for pair in draw(footage, pupil(frames=5, outputs=5), Negative()):
        seen, truths = pair[:15], pair[15:]
        np.testing.assert_array_equal(truths[6:9], 255 - seen[6:9])
        np.testing.assert_array_equal(truths[:6], seen[:6])
        np.testing.assert_array_equal(truths[9:], seen[9:])


def test_without_a_blurred_frame_there_is_nothing_to_be_taught() -> None:
    assert draw(partly_blurred(blurred=[]), pupil(), Negative()) == []


def test_an_adaptation_takes_after_its_teacher() -> None:
    footage = partly_blurred()
    settings = AdaptationSettings(
        iterations=12, patch=PATCH, labelled_patches=8, labelled_batch=1, unlabelled_patches=2, held_out_patches=4,
        rate=1e-3, exposure=0.5, alpha=0.0,
    )  # fmt: skip
    [pair, *_] = draw(footage, pupil(), Negative())
    seen, wanted = (torch.from_numpy(part.copy()).float()[None] / 255.0 for part in (pair[:3], pair[3:]))
    far = []
    for teacher in (None, Negative()):
        done = adapt(pupil().network, [footage], settings, teacher=teacher)
        assert done.taught == (48 if teacher else 0)
        network = pupil().network
        network.load_state_dict({name: value.float() for name, value in done.found.items()})
        with torch.no_grad():
            far.append(float((network(seen) - wanted).square().mean()))
    assert far[1] < far[0]


def test_moments_of_an_exposure_cannot_be_learnt_from_a_restorer_of_frames() -> None:
    settings = AdaptationSettings(iterations=1, patch=PATCH, labelled_patches=4, unlabelled_patches=2)
    with pytest.raises(UsageError, match="7 moments of an exposure cannot learn"):
        adapt(pupil(outputs=7).network, [partly_blurred()], settings, teacher=Negative())
