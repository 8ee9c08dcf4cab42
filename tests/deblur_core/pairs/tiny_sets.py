"""Tiny sets of pairs in the shape of the published ones: textured pictures of 48 × 32 pixels and their blur."""

from pathlib import Path

import cv2
import numpy as np

SIZE = (32, 48)


def sharp_picture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 RGB [H, W, 3]: a texture that blur harms."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((size[0] // 4, size[1] // 4, 3)).astype(np.float32), size[::-1])
    return (40.0 + 120.0 * coarse + 60.0 * rng.random((*size, 3))).astype(np.uint8)


def blurred_picture(sharp: np.ndarray) -> np.ndarray:
    """The picture smeared over five pixels of its rows."""
    return cv2.blur(sharp, (5, 1))


def write_picture(path: Path, picture: np.ndarray) -> Path:
    """Writes uint8 RGB in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())
    return path


def write_pair(blurred: Path, sharp: Path, seed: int = 1) -> None:
    """Writes a picture and its blur."""
    picture = sharp_picture(seed)
    write_picture(sharp, picture)
    write_picture(blurred, blurred_picture(picture))


def plain(folder: Path, frames: int = 3) -> Path:
    """DIR/blurred/*.png and DIR/sharp/*.png of the same names."""
    for number in range(frames):
        write_pair(folder / "blurred" / f"{number:03d}.png", folder / "sharp" / f"{number:03d}.png", number)
    return folder


def gopro(folder: Path) -> Path:
    """Two sequences of two frames to test on, one to train on, each with both kinds of blur."""
    for part, name in (("test", "GOPR0384_11_00"), ("test", "GOPR0385_11_01"), ("train", "GOPR0372_07_00")):
        for number in (1, 2):
            sequence, file = folder / part / name, f"{number:06d}.png"
            write_pair(sequence / "blur" / file, sequence / "sharp" / file, number)
            write_picture(sequence / "blur_gamma" / file, sharp_picture(number) // 2)
    return folder


def reds(folder: Path, apart: bool = False) -> Path:
    """Both parts; apart: as the archives come out when each is unpacked into a folder of its own name."""
    for part in ("train", "val"):
        for name in ("000", "001"):
            places = [folder / (f"{part}_{kind}" if apart else "") / part for kind in ("blur", "sharp")]
            blurred, sharp = (
                place / f"{part}_{kind}" / name / "00000000.png"
                for place, kind in zip(places, ("blur", "sharp"), strict=True)
            )
            write_pair(blurred, sharp)
    return folder


def dvd(folder: Path) -> Path:
    """One sequence that is tested on among two that are not, JPEG, with the litter of its archive."""
    for name in ("720p_240fps_1", "720p_240fps_2", "IMG_0200"):
        sequence = folder / "quantitative_datasets" / name
        for number in range(2):
            write_pair(sequence / "input" / f"{number:05d}.jpg", sequence / "GT" / f"{number:05d}.jpg", number)
    (sequence / "GT" / "._00000.jpg").write_bytes(b"litter")
    (folder / "qualitative_datasets" / "bicycle" / "input").mkdir(parents=True)
    return folder


def bsd(folder: Path) -> Path:
    """One exposure setting with all three parts."""
    for part, name in (("train", "001"), ("valid", "002"), ("test", "000"), ("test", "003")):
        for number in range(2):
            sequence, file = folder / part / name, f"{number:08d}.png"
            write_pair(sequence / "Blur" / "RGB" / file, sequence / "Sharp" / "RGB" / file, number)
    return folder


def realblur(folder: Path, kinds: tuple[str, ...] = ("J",), tested: bool = True) -> Path:
    """Three scenes of two photographs, of which a list names one photograph each of two."""
    names = {
        "J": "RealBlur-J_ECC_IMCORR_centroid_itensity_ref",
        "R": "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref",
    }
    for kind in kinds:
        for scene in ("scene001", "scene050", "scene244_reflect"):
            for number in (1, 12):
                place = folder / names[kind] / scene
                write_pair(place / "blur" / f"blur_{number}.png", place / "gt" / f"gt_{number}.png", number)
        if tested:
            lines = [
                f"{names[kind]}/{scene}/gt/gt_{number}.png {names[kind]}/{scene}/blur/blur_{number}.png\n"
                for scene, number in (("scene050", 12), ("scene244_reflect", 1))
            ]
            (folder / f"RealBlur_{kind}_test_list.txt").write_text("".join(lines))
    return folder


def hide(folder: Path) -> Path:
    """Two groups to test on and some to train on; the truth of all in one folder."""
    for group, name in (
        ("test/test-close-ups", "1fromGOPR0950"),
        ("test/test-close-ups", "10fromGOPR0950"),
        ("test/test-long-shot", "5fromGOPR1096.MP4"),
        ("train", "7fromGOPR0801"),
    ):
        write_pair(folder / group / f"{name}.png", folder / "GT" / f"{name}.png")
    return folder
