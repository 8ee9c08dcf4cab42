"""The photographs of the demonstration, out of scikit-image's wheel: who made them, on which terms, where they lie.

    Eileen Collins       NASA                         public domain
    Falcon 9 launch      SpaceX                       public domain
    Hubble deep field    NASA, ESA (HubbleSite)       public domain
    Coffee cup           Rachel Michetti              CC0
    Chelsea the cat      Stefan van der Walt          CC0
    The photographer     Lav Varshney                 CC0
    Brick wall           CC0Textures                  CC0

The terms are those that scikit-image's own `skimage.data` documents for each. The files are read where pip put them;
scikit-image itself is not imported. Knows nothing of video.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from deblur_core.errors import UsageError


@dataclass(frozen=True)
class Photograph:
    """`file` lies in scikit-image's data folder; `author` and `licence` are as scikit-image states them."""

    name: str
    file: str
    title: str
    author: str
    licence: str

    @property
    def credit(self) -> str:
        return f"{self.title}: {self.author} ({self.licence})"


PHOTOGRAPHS = (
    Photograph("astronaut", "astronaut.png", "Eileen Collins", "NASA", "public domain"),
    Photograph("rocket", "rocket.jpg", "Falcon 9 launch", "SpaceX", "public domain"),
    Photograph("hubble", "hubble_deep_field.jpg", "Hubble deep field", "NASA, ESA", "public domain"),
    Photograph("coffee", "coffee.png", "Coffee cup", "Rachel Michetti", "CC0"),
    Photograph("chelsea", "chelsea.png", "Chelsea the cat", "Stefan van der Walt", "CC0"),
    Photograph("camera", "camera.png", "The photographer", "Lav Varshney", "CC0"),
    Photograph("brick", "brick.png", "Brick wall", "CC0Textures", "CC0"),
)


def load_photographs() -> dict[str, np.ndarray]:
    """All of `PHOTOGRAPHS` by name, uint8 RGB [H, W, 3]. Raises UsageError where scikit-image is not installed."""
    folder = _data_folder()
    return {photograph.name: _read(folder / photograph.file) for photograph in PHOTOGRAPHS}


def credits_line() -> str:
    """Who made what, under which terms, in one line."""
    return "; ".join(photograph.credit for photograph in PHOTOGRAPHS)


def _data_folder() -> Path:
    package = find_spec("skimage")
    for location in (package.submodule_search_locations or []) if package else []:
        if (Path(location) / "data").is_dir():
            return Path(location) / "data"
    raise UsageError(
        "the demo's photographs come with scikit-image, which is not installed: run `make demo`, or "
        "`pip install restore-archive[demo]`"
    )


def _read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(f"{path} is no longer part of scikit-image or is damaged: reinstall scikit-image")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
