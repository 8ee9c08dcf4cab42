"""A brick wall with framed photographs and their labels, and a camera that films it: sharp frames of a known scene.

The camera is a moment's view, so every frame is sharp however fast it moves; blur is made elsewhere. Knows no video
file and nothing of licences.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass

import cv2
import numpy as np

HANGING = ("hubble", "rocket", "astronaut", "coffee", "chelsea", "camera")

_HEIGHT, _MARGIN, _GAP = 900, 560, 110
_CENTRE_LINE = 420
_TALLEST = 350
_MAT, _FRAME = 26, 13
_WALL_TINT = np.array([1.10, 0.96, 0.85], np.float32)
_WOODS = ((58, 40, 30), (30, 30, 34), (122, 88, 52))


@dataclass(frozen=True)
class View:
    """Where the camera looks: the wall's point at the frame's centre (pixels of the wall), how many pixels of the
    frame one pixel of the wall takes, and its roll."""

    x: float
    y: float
    zoom: float
    roll_degrees: float = 0.0

    def towards(self, other: "View", share: float) -> "View":
        """The view at `share` (0 to 1) of the way to the other."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return View(*(a + (b - a) * share for a, b in pairs))


@dataclass(frozen=True)
class Passing:
    """A print of the photograph `name` carried through the picture: centre at its first and its last frame as shares
    of the frame's sides, and its height as a share of the frame's."""

    name: str
    start: tuple[float, float]
    stop: tuple[float, float]
    height: float = 0.55
    turn_degrees: float = 8.0


@dataclass(frozen=True)
class Wall:
    """`picture`: uint8 RGB [H, W, 3]; `centres`: where each photograph hangs, (x, y) in pixels of the wall."""

    picture: np.ndarray
    centres: Mapping[str, tuple[float, float]]


def hang(photographs: Mapping[str, np.ndarray], labels: Mapping[str, str]) -> Wall:
    """Builds the wall from uint8 RGB photographs: those of `HANGING` and `brick`. `labels` are written beneath."""
    prints = {name: _within(photographs[name], _TALLEST) for name in HANGING}
    width = 2 * _MARGIN + sum(p.shape[1] + 2 * (_MAT + _FRAME) for p in prints.values()) + _GAP * (len(prints) - 1)
    picture = _bricks(photographs["brick"], _HEIGHT, width)
    centres = {}
    left = _MARGIN
    for number, (name, shown) in enumerate(prints.items()):
        framed = _framed(shown, _WOODS[number % len(_WOODS)])
        top = _CENTRE_LINE - framed.shape[0] // 2
        _paste_with_shadow(picture, framed, top, left)
        _paste_with_shadow(picture, _label(labels.get(name, name)), top + framed.shape[0] + 16, left)
        centres[name] = (left + framed.shape[1] / 2.0, float(_CENTRE_LINE))
        left += framed.shape[1] + _GAP
    return Wall(picture, centres)


def film(
    wall: Wall,
    views: tuple[View, View],
    frames: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    passing: tuple[Passing, np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """Yields `frames` frames uint8 RGB [H, W, 3] of `size` (width, height): from the first view to the second, held by
    hand, with a print (and its photograph, uint8 RGB) carried through where one is given."""
    width, height = size
    waver = _hand(frames, rng)
    card = _card(passing[1], round(passing[0].height * height)) if passing else None
    for number in range(frames):
        share = number / max(frames - 1, 1)
        view = views[0].towards(views[1], share)
        centre = np.array([width / 2.0, height / 2.0]) + waver[number, :2]
        matrix = _placing((view.x, view.y), centre, view.zoom, view.roll_degrees + waver[number, 2])
        picture = cv2.warpAffine(wall.picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        if passing is not None and card is not None:
            picture = _carry(picture, card, passing[0], share)
        yield picture


def _hand(frames: int, rng: np.random.Generator) -> np.ndarray:
    """float [frames, 3]: slow wandering (x, y in pixels, roll in degrees) of a camera held by hand."""
    time = np.arange(frames)[:, None]
    periods, phases = rng.uniform(28, 70, (2, 3)), rng.uniform(0, 2 * np.pi, (2, 3))
    waves = sum(np.sin(2 * np.pi * time / periods[i] + phases[i]) for i in range(2))
    return np.asarray(waves * [4.0, 3.0, 0.25])


def _placing(point: tuple[float, float], onto: np.ndarray, zoom: float, degrees: float) -> np.ndarray:
    """The affine matrix [2, 3] that brings `point` to `onto`, enlarged and turned about it."""
    matrix = cv2.getRotationMatrix2D(point, degrees, zoom)
    matrix[:, 2] += onto - np.array(point)
    return matrix


def _carry(picture: np.ndarray, card: np.ndarray, passing: Passing, share: float) -> np.ndarray:
    """`picture` with the card (float32 RGBA, premultiplied) before it."""
    height, width = picture.shape[:2]
    start, stop = np.array(passing.start), np.array(passing.stop)
    onto = (start + (stop - start) * share) * [width, height] + [0.0, 8.0 * np.sin(9.0 * share)]
    middle = (card.shape[1] / 2.0, card.shape[0] / 2.0)
    matrix = _placing(middle, onto, 1.0, passing.turn_degrees * (1.0 - 2.0 * share))
    layer = cv2.warpAffine(card, matrix, (width, height), flags=cv2.INTER_CUBIC)
    mixed = picture * (1.0 - layer[..., 3:]) + layer[..., :3]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _card(photograph: np.ndarray, height: int) -> np.ndarray:
    """A print with a white border: float32 [H, W, 4], premultiplied, a clear rim so that its edge is smooth."""
    edge = height // 16
    shown = _within(photograph, height - 2 * edge)
    white = cv2.copyMakeBorder(shown, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(243, 241, 236))
    opaque = np.dstack([white.astype(np.float32), np.ones(white.shape[:2], np.float32)])
    return cv2.copyMakeBorder(opaque, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))


def _within(photograph: np.ndarray, height: int) -> np.ndarray:
    """The photograph, made smaller where it is taller than `height`: never enlarged, which would make it soft."""
    scale = min(height / photograph.shape[0], 1.0)
    return cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _bricks(brick: np.ndarray, height: int, width: int) -> np.ndarray:
    courses = brick.swapaxes(0, 1)  # the photograph shows the wall lying on its side
    tile = np.hstack([courses, courses[:, ::-1]])
    tile = np.vstack([tile, tile[::-1]])
    repeats = (height // tile.shape[0] + 1, width // tile.shape[1] + 1, 1)
    wall = np.tile(tile, repeats)[:height, :width].astype(np.float32)
    lit = 118.0 + 0.75 * (wall - wall.mean())
    return np.clip(lit * _WALL_TINT, 0, 255).astype(np.uint8)


def _framed(shown: np.ndarray, wood: tuple[int, int, int]) -> np.ndarray:
    mat = cv2.copyMakeBorder(shown, _MAT, _MAT, _MAT, _MAT, cv2.BORDER_CONSTANT, value=(236, 232, 224))
    framed = cv2.copyMakeBorder(mat, _FRAME, _FRAME, _FRAME, _FRAME, cv2.BORDER_CONSTANT, value=wood)
    height, width = framed.shape[:2]
    light = tuple(min(int(1.5 * c) + 12, 255) for c in wood)
    cv2.rectangle(framed, (2, 2), (width - 3, height - 3), light, 2)
    cv2.rectangle(framed, (_FRAME - 2, _FRAME - 2), (width - _FRAME + 1, height - _FRAME + 1), (20, 16, 14), 2)
    return framed


def _label(text: str) -> np.ndarray:
    """A white card with up to a few lines of small print."""
    lines = text.splitlines()
    longest = max(len(line) for line in lines)
    label = np.full((24 + 28 * len(lines), 28 + 12 * longest, 3), (240, 238, 232), np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(label, line, (14, 32 + 28 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.62, (44, 40, 38), 1, cv2.LINE_AA)
    return label


def _paste_with_shadow(wall: np.ndarray, thing: np.ndarray, top: int, left: int) -> None:
    """Puts `thing` on the wall, with a soft shadow to its lower right."""
    height, width = thing.shape[:2]
    reach = 24
    rows, columns = slice(top - reach, top + height + 2 * reach), slice(left - reach, left + width + 2 * reach)
    ground = wall[rows, columns].astype(np.float32)
    shadow = np.zeros(ground.shape[:2], np.float32)
    shadow[reach + 8 : reach + 8 + height, reach + 6 : reach + 6 + width] = 0.55
    ground *= 1.0 - cv2.GaussianBlur(shadow, (0, 0), 7)[..., None]
    wall[rows, columns] = ground.astype(np.uint8)
    wall[top : top + height, left : left + width] = thing
