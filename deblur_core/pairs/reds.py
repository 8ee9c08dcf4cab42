"""REDS (Nah et al. 2019, NTIRE): `val/val_blur/000/00000000.png` with `val/val_sharp/000/00000000.png`.

The truth of its test part is not published, so `val` is what scores are reported on.
"""

from pathlib import Path

from deblur_core.pairs.frame_pairs import PairedSet, PairSequence, folders, pair_by_name, pictures

_PARTS = ("val", "train")


def find_reds(folder: Path) -> PairedSet | None:
    """The set in `folder`: its root, a part, or the folder with its archives each unpacked on its own."""
    for part in _PARTS:
        blurred, sharp = (_unpacked(folder, part, kind) for kind in ("blur", "sharp"))
        if blurred is not None and sharp is not None:
            return _read(part, blurred, sharp)
    return None


def _unpacked(folder: Path, part: str, kind: str) -> Path | None:
    name = f"{part}_{kind}"
    places = (folder / name / part / name, folder / part / name, folder / name)
    return next((place for place in places if place.is_dir()), None)


def _read(part: str, blurred: Path, sharp: Path) -> PairedSet:
    found: list[PairSequence] = []
    unpaired = 0
    names = dict.fromkeys(path.name for folder in (blurred, sharp) for path in folders(folder))
    for name in names:
        sequence, alone = pair_by_name(name, pictures(blurred / name), pictures(sharp / name))
        unpaired += alone
        if sequence.pairs:
            found.append(sequence)
    return PairedSet("reds", part, tuple(found), unpaired)
