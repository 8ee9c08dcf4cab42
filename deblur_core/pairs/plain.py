"""Plain folders: `DIR/blurred/*.png` with `DIR/sharp/*.png` of the same names, one sequence in their order."""

from pathlib import Path

from deblur_core.pairs.frame_pairs import PairedSet, pair_by_name, pictures


def find_plain(folder: Path) -> PairedSet | None:
    """The pairs in `folder`; None where it has not both folders."""
    if not ((folder / "blurred").is_dir() and (folder / "sharp").is_dir()):
        return None
    sequence, unpaired = pair_by_name(folder.name, pictures(folder / "blurred"), pictures(folder / "sharp"))
    return PairedSet("plain", "", (sequence,), unpaired)
