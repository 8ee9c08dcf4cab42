"""Sets that keep a folder a sequence, with the blurred and the sharp frames in folders of their own below it.

GoPro (Nah et al. 2017), DVD (Su et al. 2017) and BSD (Zhong et al. 2020) differ in the names of those folders alone.
"""

from dataclasses import dataclass
from pathlib import Path

from deblur_core.pairs.frame_pairs import PairedSet, PairSequence, folders, pair_by_name, pictures


@dataclass(frozen=True)
class SequenceFolders:
    """blurred, sharp: folders below a sequence; parts: published parts, that on which scores are reported first;
    root: folder of the set that holds the sequences, where it is not the set's own; tested: sequences that the field
    reports on, where a set is published undivided."""

    set_name: str
    blurred: str
    sharp: str
    parts: tuple[str, ...]
    root: str = ""
    tested: frozenset[str] = frozenset()

    def find(self, folder: Path) -> PairedSet | None:
        """The set in `folder`: its root, one of its parts or one sequence; None where nothing has this shape."""
        if self._is_sequence(folder):
            return self._read(folder.name, [folder])
        base = folder / self.root if self.root and (folder / self.root).is_dir() else folder
        if sequences := self._sequences(base):
            chosen = [sequence for sequence in sequences if sequence.name in self.tested]
            if chosen and len(chosen) < len(sequences):
                return self._read(f"test ({len(chosen)} of {len(sequences)} sequences)", chosen)
            return self._read(base.name if base.name in self.parts else "", sequences)
        for part in self.parts:
            if sequences := self._sequences(base / part):
                return self._read(part, sequences)
        return None

    def _read(self, part: str, sequences: list[Path]) -> PairedSet:
        found: list[PairSequence] = []
        unpaired = 0
        for path in sequences:
            sequence, alone = pair_by_name(path.name, pictures(path / self.blurred), pictures(path / self.sharp))
            found.append(sequence)
            unpaired += alone
        return PairedSet(self.set_name, part, tuple(found), unpaired)

    def _sequences(self, folder: Path) -> list[Path]:
        return [path for path in folders(folder) if self._is_sequence(path)]

    def _is_sequence(self, folder: Path) -> bool:
        return (folder / self.blurred).is_dir() and (folder / self.sharp).is_dir()


GOPRO = SequenceFolders("gopro", "blur", "sharp", ("test", "train"))
"""GOPRO_Large, `test/GOPR0384_11_00/blur/000001.png`. `blur` averages as if the camera were linear; the field's scores
are mostly on it."""

GOPRO_GAMMA = SequenceFolders("gopro-gamma", "blur_gamma", "sharp", ("test", "train"))
"""The same with the blur that goes through a camera's response (gamma 2.2), on which its authors report."""

DVD = SequenceFolders(
    "dvd",
    "input",
    "GT",
    ("test", "train"),
    "quantitative_datasets",
    frozenset(
        (
            "720p_240fps_2", "IMG_0003", "IMG_0021", "IMG_0030", "IMG_0031", "IMG_0032", "IMG_0033", "IMG_0037",
            "IMG_0039", "IMG_0049",
        )
    ),
)  # fmt: skip
"""DeepVideoDeblurring_Dataset, `quantitative_datasets/IMG_0003/input/00000.jpg`; 61 sequences train, ten test."""

BSD = SequenceFolders("bsd", "Blur/RGB", "Sharp/RGB", ("test", "valid", "train"))
"""One exposure setting, as each is scored apart: `BSD_1ms8ms/test/000/Blur/RGB/00000000.png`."""
