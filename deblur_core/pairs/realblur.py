"""RealBlur (Rim et al. 2020): photographs of a beam splitter, `scene050/blur/blur_7.png` with `scene050/gt/gt_7.png`.

RealBlur-J (JPEG) and RealBlur-R (raw) lie side by side with the lists of what is tested, and are scored apart, usually
after alignment (see `ecc_alignment`).
"""

from pathlib import Path

from deblur_core.errors import UsageError
from deblur_core.pairs.frame_pairs import PairedSet, PairSequence, folders, pictures, sequence_of


def find_realblur(folder: Path) -> PairedSet | None:
    """The set in `folder`: the folder of RealBlur-J or -R, or the one around it if only one of them is there.

    With `RealBlur_J_test_list.txt` beside the scenes' folder only what it names is taken, else every scene. Raises
    UsageError where both are there, or where the list cannot be read.
    """
    kinds = [folder] if _scenes(folder) else [path for path in folders(folder) if _scenes(path)]
    if not kinds:
        return None
    if len(kinds) > 1:
        names = ", ".join(path.name for path in kinds)
        raise UsageError(f"{folder} holds {names}, which are scored apart: give one of these folders")
    tested = _test_list(kinds[0])
    found: list[PairSequence] = []
    unpaired = 0
    for scene in _scenes(kinds[0]):
        sequence, alone = _read(scene, tested)
        unpaired += alone
        if sequence.pairs:
            found.append(sequence)
    if tested is not None:
        unpaired = len(tested) - sum(len(sequence.pairs) for sequence in found)
    return PairedSet("realblur", "all scenes" if tested is None else "test", tuple(found), unpaired)


def _scenes(folder: Path) -> list[Path]:
    return [path for path in folders(folder) if (path / "blur").is_dir() and (path / "gt").is_dir()]


def _read(scene: Path, tested: set[tuple[str, str]] | None) -> tuple[PairSequence, int]:
    """Pairs of a scene by the number in their names; blurred and sharp pictures have other words before it."""
    blurred = {_number(path): path for path in pictures(scene / "blur")}
    sharp = {_number(path): path for path in pictures(scene / "gt")}
    both = [number for number in blurred if number in sharp]
    wanted = [number for number in both if tested is None or (scene.name, blurred[number].name) in tested]
    sequence = sequence_of(scene.name, [(blurred[number], sharp[number]) for number in wanted], photographs=True)
    return sequence, len(blurred) + len(sharp) - 2 * len(both)


def _number(picture: Path) -> str:
    return picture.stem.rpartition("_")[2]


def _test_list(kind: Path) -> set[tuple[str, str]] | None:
    """(scene, blurred picture) of each line `…/scene050/gt/gt_7.png …/scene050/blur/blur_7.png`; None: no list."""
    letter = kind.name.removeprefix("RealBlur-")[:1]
    path = kind.parent / f"RealBlur_{letter}_test_list.txt"
    if not path.is_file():
        return None
    tested: set[tuple[str, str]] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        blurred = [Path(word) for word in line.split() if Path(word).parent.name == "blur"]
        if line.strip() and len(blurred) != 1:
            raise UsageError(f"{path} line {number} names no pair of a gt/ and a blur/ picture: get the list again")
        tested.update((picture.parent.parent.name, picture.name) for picture in blurred)
    return tested
