"""HIDE (Shen et al. 2019): single photographs of people in motion: `test/test-close-ups/1fromGOPR0950.png`.

`GT/` holds the truth of both parts, under the blurred photograph's name.
"""

from pathlib import Path

from deblur_core.pairs.frame_pairs import PairedSet, PairSequence, folders, pair_by_name, pictures

_PARTS = ("test", "train")


def find_hide(folder: Path) -> PairedSet | None:
    """The set in `folder`: its root, of which `test` is taken where it is there, or one of its parts."""
    if folder.name in _PARTS and (folder.parent / "GT").is_dir():
        return _read(folder.name, folder, folder.parent / "GT")
    if not (folder / "GT").is_dir():
        return None
    part = next((part for part in _PARTS if (folder / part).is_dir()), None)
    return None if part is None else _read(part, folder / part, folder / "GT")


def _read(part: str, blurred: Path, sharp: Path) -> PairedSet:
    truth = pictures(sharp)
    found: list[PairSequence] = []
    unpaired = 0
    for group in (blurred, *folders(blurred)):
        photographs = pictures(group)
        sequence, _ = pair_by_name(group.name, photographs, truth, photographs=True)
        unpaired += len(photographs) - len(sequence.pairs)  # truth without blur is the other part's
        if sequence.pairs:
            found.append(sequence)
    return PairedSet("hide", part, tuple(found), unpaired)
