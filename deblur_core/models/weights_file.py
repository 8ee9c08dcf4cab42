"""Released weights: safetensors files in the package, each pinned by its SHA-256. Knows no architecture.

Nothing is ever unpickled. `weights/released.json` names the released files with their hashes and scores; a file that
differs is refused.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from deblur_core.errors import WeightsError

WEIGHTS_FOLDER = Path(__file__).resolve().parent.parent / "weights"


@lru_cache(maxsize=1)
def _released() -> dict[str, dict[str, Any]]:
    path = WEIGHTS_FOLDER / "released.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as cause:
        raise WeightsError(f"the list of released weights {path} cannot be read ({cause}): install again") from cause


def pinned_hash(file_name: str) -> str | None:
    """SHA-256 (hex) of a released weights file, None if it is none. Raises WeightsError if the list is unreadable."""
    entry = _released().get(file_name)
    return str(entry["sha256"]) if entry else None


def released_scores(file_name: str, name: str) -> str:
    """What the model of this name, one of those that load this released file, reached on the held-out clips, in words.

    Restorers have theirs on the same frames all: the table of docs/models.md.
    """
    scores: dict[str, str] = _released().get(file_name, {}).get("scores", {})
    return scores.get(name, "")


def own_weights_hash(path: Path) -> str:
    """SHA-256 (hex) of a user's own weights. Raises WeightsError when the file cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as cause:
        raise WeightsError(f"the weights {path} cannot be read ({cause.strerror}): check the path") from cause


def verified_weights(file_name: str) -> Path:
    """Path of a released weights file, after its hash was found right.

    Raises WeightsError when the file is missing, not released, or not the one that was released.
    """
    path = WEIGHTS_FOLDER / file_name
    expected = pinned_hash(file_name)
    if expected is None:
        raise WeightsError(f"{file_name} is not among the released weights in {WEIGHTS_FOLDER}: install again")
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as cause:
        raise WeightsError(f"the weights {path} cannot be read ({cause.strerror}): install again") from cause
    if found != expected:
        raise WeightsError(
            f"the weights {path} are not the released ones (SHA-256 {found[:12]}…, released {expected[:12]}…): "
            "install again, or remove what replaced them"
        )
    return path
