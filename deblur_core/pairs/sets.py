"""Finds the pairs under a folder: by the name of the set, or by the folder's shape. Decodes nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deblur_core.errors import UsageError
from deblur_core.pairs.frame_pairs import PairedSet
from deblur_core.pairs.hide import find_hide
from deblur_core.pairs.plain import find_plain
from deblur_core.pairs.realblur import find_realblur
from deblur_core.pairs.reds import find_reds
from deblur_core.pairs.sequence_folders import BSD, DVD, GOPRO, GOPRO_GAMMA

AUTO = "auto"
_SETS: dict[str, tuple[Callable[[Path], PairedSet | None], str]] = {
    "plain": (find_plain, "blurred/*.png and sharp/*.png"),
    "gopro": (GOPRO.find, "test/GOPR…/blur and sharp"),
    "gopro-gamma": (GOPRO_GAMMA.find, "test/GOPR…/blur_gamma and sharp"),
    "reds": (find_reds, "val/val_blur/000 and val/val_sharp/000"),
    "dvd": (DVD.find, "quantitative_datasets/…/input and GT"),
    "bsd": (BSD.find, "test/000/Blur/RGB and Sharp/RGB"),
    "realblur": (find_realblur, "scene…/blur and gt"),
    "hide": (find_hide, "test/… and GT"),
}
_TOLD_APART = [name for name in _SETS if name != "gopro-gamma"]  # the same folder as gopro: asked for by name alone


def set_names() -> list[str]:
    """What `find_pairs` and `--set` know."""
    return [AUTO, *_SETS]


def find_pairs(folder: Path, set_name: str = AUTO, single: bool = False) -> PairedSet:
    """The pairs of a set in `folder`; single: every frame stands alone, as a photograph does.

    Raises UsageError when the folder is missing, the name unknown, or no pairs lie there in the shape that is asked
    for ('auto': in any, and in more than one it cannot choose).
    """
    if set_name not in set_names():
        raise UsageError(f"unknown set {set_name!r}: there is {', '.join(set_names())}")
    if not folder.is_dir():
        wrong = "is no folder" if folder.exists() else "does not exist"
        raise UsageError(f"the pairs' folder {folder} {wrong}: check the path")
    folder = folder.absolute()  # its name counts, and that of the folder around it; links are not followed
    asked = _TOLD_APART if set_name == AUTO else [set_name]
    try:
        shaped = [paired for name in asked if (paired := _SETS[name][0](folder)) is not None]
    except OSError as cause:
        raise UsageError(f"{cause.filename} cannot be read ({cause.strerror}): check its rights") from cause
    found = [paired for paired in shaped if paired.pair_count]
    if len(found) > 1:
        names = ", ".join(paired.set_name for paired in found)
        raise UsageError(f"{folder} looks like several sets ({names}): say which with --set")
    if not found:
        raise UsageError(f"no pairs under {folder}: {_what_lacks(shaped, asked)}")
    kept = tuple(sequence for sequence in found[0].sequences if sequence.pairs)
    return replace(found[0], sequences=tuple(replace(each, photographs=True) for each in kept) if single else kept)


def _what_lacks(shaped: list[PairedSet], asked: list[str]) -> str:
    if shaped:
        return f"it has the folders of {shaped[0].set_name}, but no blurred picture with a sharp one of its name"
    return "expected " + "; or ".join(f"{_SETS[name][1]} ({name})" for name in asked)
