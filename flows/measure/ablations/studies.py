"""What the papers' ablation tables say, and with which networks and losses each row is made again.

All networks are narrower than published, so that minutes on one core teach them something. Trains nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal

from torch import Tensor

from deblur_core.losses.content import ContentLoss
from deblur_core.losses.contiguous import ContiguousLoss
from deblur_core.losses.feature_net import FeatureNet
from deblur_core.losses.feature_weights import released_features
from deblur_core.losses.gradient import gradient_loss
from deblur_core.losses.psnr import psnr_loss
from deblur_core.models import gradientnet, st_variant_rnn
from deblur_core.models.contiguous import SequenceResNet
from deblur_core.models.deblurnet import DeblurNetGenerator
from deblur_core.models.gradientnet import GradientGuidedUNet, PatchCritic, image_gradient
from deblur_core.models.network import RestorationNetwork
from deblur_core.models.st_variant_rnn import STVariantRNN
from deblur_core.training.adversary import AdversarialRecipe
from deblur_core.training.recipes import Recipe, by_huber, by_psnr, by_psnr_and_gradient

PATCH, BATCH = 64, 4
CONTENT_WEIGHT, GRADIENT_WEIGHT, CONTIGUOUS_WEIGHT, HUBER_WEIGHT = 10.0, 10.0, 0.1, 100.0
_PLAIN = Recipe(by_psnr, patch=PATCH, batch=BATCH)

Metric = Literal["psnr", "steepness"]


@dataclass(frozen=True)
class Variant:
    """A network to be trained from scratch, and how."""

    build: Callable[[], RestorationNetwork]
    recipe: Recipe


@dataclass(frozen=True)
class Row:
    """A row of a published table. variant: by whose training it is made again; published_db: None where the paper gives
    no figure, and then `below_reference` says what it claims in words (None: the row is ours, nothing is claimed)."""

    name: str
    variant: str
    published_db: float | None = None
    below_reference: bool | None = None
    metric: Metric = "psnr"


@dataclass(frozen=True)
class PublishedTable:
    """rows are held against the row named `reference`."""

    title: str
    reference: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Study:
    """One paper's ablations. sees: windows of frames, or one frame whose truth is the moments of its exposure; control:
    the variant that is trained a second time from another seed, to see how much a seed is worth; note: what differs
    from the paper."""

    paper: str
    sees: Literal["frames", "moments"]
    variants: Mapping[str, Variant]
    control: str
    tables: tuple[PublishedTable, ...]
    note: str


def studies() -> dict[str, Study]:
    """All studies that train, by the name of their paper's restorer."""
    made = (_st_variant_rnn(), _gradientnet(), _contiguous(), _deblurnet())
    return {study.paper: study for study in made}


def _st_variant_rnn() -> Study:
    options: dict[str, Mapping[str, Any]] = {**st_variant_rnn.ABLATIONS, **st_variant_rnn.VARIANTS}
    del options["ours"]  # the same network as I5T3
    # Its cells work at full size: smaller and fewer patches leave it steps enough to learn from.
    recipe = replace(_PLAIN, patch=48, batch=2)
    variants = {name: Variant(partial(STVariantRNN, width=0.25, **given), recipe) for name, given in options.items()}
    parts = {"3D-sub": 30.12, "LSTM-sub": 29.60, "Spatial-sub": 30.31, "Temporal-sub": 30.27}
    frames = {"I1T1": 30.27, "I3T1": 30.88, "I7T1": 30.03, "I5T1": 31.01, "I5T5": 30.98, "I5T3": 31.13}
    return Study(
        "st-variant-rnn",
        "frames",
        variants,
        "I5T3",
        (
            PublishedTable(
                "Table 2",
                "ours",
                (*(Row(name, name, figure) for name, figure in parts.items()), Row("ours", "I5T3", 31.13)),
            ),
            PublishedTable("Table 3", "I5T3", tuple(Row(name, name, figure) for name, figure in frames.items())),
        ),
        "weight generators at a quarter of the published width; PSNR loss; 2 patches of 48² a step",
    )


def _gradientnet() -> Study:
    build = partial(GradientGuidedUNet, width=16, gradient_channels=32, blocks=4)
    taught = replace(_PLAIN, loss=by_psnr_and_gradient)
    blocks = {name: Variant(partial(build, **given), taught) for name, given in gradientnet.ABLATIONS.items()}
    losses = {
        "gradient alone": Variant(build, replace(_PLAIN, loss=partial(_by_parts, 0.0, 0.0))),
        "PSNR alone": Variant(build, _PLAIN),
        "features added": Variant(build, replace(_PLAIN, loss=partial(_by_parts, 1.0, CONTENT_WEIGHT))),
    }
    return Study(
        "gradientnet",
        "moments",
        blocks | losses,
        "ours",
        (
            PublishedTable(
                "Table 4",
                "ours",
                (
                    Row("w/o content", "gradient alone", 26.3751),
                    Row("w/o gradient", "PSNR alone", 28.7011),
                    Row("FeatureNet's content added", "features added"),
                    Row("ours", "ours", 29.2252),
                ),
            ),
            PublishedTable(
                "Table 5",
                "ours",
                (
                    Row("w/o RGCL", "w/o RGCL", 29.0429),
                    Row("w/o MBRBs", "w/o MBRBs", 29.0859),
                    Row("w/o GradientNet", "w/o GradientNet", 27.8708),
                    Row("ours", "ours", 29.2252),
                ),
            ),
        ),
        "half the published width, 4 MBRBs of 10; no adversarial term in any row; PSNR in the place of content through "
        "VGG19, gradient loss times 10",
    )


def _contiguous() -> Study:
    build = partial(SequenceResNet, width=32, blocks=5, unshuffle=2)
    return Study(
        "contiguous",
        "moments",
        {
            "without": Variant(build, replace(_PLAIN, loss=partial(_by_squares, 1.0, 0.0))),
            "with": Variant(build, replace(_PLAIN, loss=partial(_by_squares, 1.0, CONTIGUOUS_WEIGHT))),
        },
        "with",
        (
            PublishedTable(
                "Table 4",
                "with the contiguous loss",
                (Row("without", "without", 29.12), Row("with the contiguous loss", "with", 29.62)),
            ),
        ),
        "half of the published width, 5 residual blocks of 13, at half the size; no adversarial term in either row; "
        "features of FeatureNet",
    )


def _deblurnet() -> Study:
    build = partial(DeblurNetGenerator, channels=32, blocks=6)
    critic = AdversarialRecipe(partial(PatchCritic, 16), steps=4)
    return Study(
        "deblurnet",
        "moments",
        {
            "Huber": Variant(build, replace(_PLAIN, loss=by_huber)),
            "squares": Variant(build, replace(_PLAIN, loss=partial(_by_squares, HUBER_WEIGHT, 0.0), adversary=critic)),
            "ours": Variant(build, replace(_PLAIN, loss=by_huber, adversary=critic)),
        },
        "ours",
        (
            PublishedTable(
                "Section III-C",
                "ours",
                (
                    Row("w/o adversarial: steepness", "Huber", below_reference=True, metric="steepness"),
                    Row("w/o adversarial: PSNR", "Huber"),
                    Row("squares for Huber", "squares", below_reference=True),
                    Row("ours", "ours"),
                ),
            ),
        ),
        "half of the published width, 6 residual blocks of 15; the critic is a PatchGAN of 16 channels, 4 steps a step",
    )


@lru_cache(maxsize=1)
def _features() -> FeatureNet:
    return released_features()


def _by_parts(
    psnr: float, content: float, network: RestorationNetwork, x: Tensor, truths: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted PSNR, content loss through FeatureNet (GradientNet, Eq. 8) and, as `by_psnr_and_gradient` has it, the
    gradient loss (Eq. 9) of the frame and of what GradientNet itself predicts."""
    assert isinstance(network, GradientGuidedUNet)
    restored, predicted = network.forward_with_gradient(x)
    restored = restored.float()
    loss = GRADIENT_WEIGHT * gradient_loss(restored, truths)
    if predicted is not None:
        loss = loss + GRADIENT_WEIGHT * (predicted.float() - image_gradient(truths)).abs().mean()
    if psnr:
        loss = loss + psnr * psnr_loss(restored, truths)
    if content:
        loss = loss + content * ContentLoss(_features())(restored, truths)
    return loss, restored


def _by_squares(
    squares: float, contiguous: float, network: RestorationNetwork, x: Tensor, truths: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted mean of squares and contiguous loss (Niu et al. 2021, Eq. 11 without its adversarial term)."""
    restored = network(x).float()
    loss = squares * (restored - truths).square().mean()
    if contiguous:
        loss = loss + contiguous * ContiguousLoss(_features())(restored, truths)
    return loss, restored
